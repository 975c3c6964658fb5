package breakglass

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func TestNote(t *testing.T) {
	n := Note{Release: "r42", To: "r41", Who: "ann", At: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), Why: `gifts "twice"`}
	text, err := Encode(n)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		Annotation:   `{"release":"r42","to":"r41","at":"2026-03-04T12:00:00Z","why":"gifts \"twice\""}`,
		ByAnnotation: "ann",
	}
	if !maps.Equal(text, want) {
		t.Errorf("written as %s, want %s", text, want)
	}
	if got, err := Decode(text); err != nil || got != n {
		t.Errorf("read as %v, %v", got, err)
	}
	for _, bad := range []string{"", "{", "{}", `{"release":"r42","at":"2026-03-04T12:00:00Z"}`} {
		if got, err := Decode(map[string]string{Annotation: bad, ByAnnotation: "ann"}); err == nil {
			t.Errorf("%s is read as %v", bad, got)
		}
	}
	// Who says so is not believed of a note.
	claimed := strings.Replace(want[Annotation], "{", `{"who":"eve","Who":"eve",`, 1)
	if got, err := Decode(map[string]string{Annotation: claimed, ByAnnotation: "ann"}); err != nil || got.Who != "ann" {
		t.Errorf("%s is read as %v, %v", claimed, got, err)
	}
	if got, err := Decode(map[string]string{Annotation: claimed}); err == nil {
		t.Errorf("%s without who is read as %v", claimed, got)
	}
	if text, err := Encode(Note{Release: "r42"}); err == nil {
		t.Errorf("half a note is written as %s", text)
	}
}
