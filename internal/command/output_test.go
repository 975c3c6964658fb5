package command

import (
	"bytes"
	"testing"
	"time"
)

// What people are told to type has the name of the program that they use.
func TestProgramName(t *testing.T) {
	for text, want := range map[string]string{
		"look again: greenroom status":                 "look again: kubectl greenroom status",
		"greenroom pass create r42":                    "kubectl greenroom pass create r42",
		"kubectl greenroom promote r42":                "kubectl greenroom promote r42",
		"greenroom does not answer; waiting for it":    "greenroom does not answer; waiting for it",
		"the label greenroom.dev/fleet":                "the label greenroom.dev/fleet",
		"greenroom-operator manifests":                 "greenroom-operator manifests",
		"greenroom release rebase, greenroom rollback": "kubectl greenroom release rebase, kubectl greenroom rollback",
	} {
		var b bytes.Buffer
		plugin := &App{Env: &Env{}, Name: "kubectl greenroom"}
		if n, err := plugin.Screen(&b).Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d bytes written, %v", text, n, err)
		}
		if b.String() != want {
			t.Errorf("the plugin says %q, want %q", b.String(), want)
		}
		b.Reset()
		_, _ = (&App{Env: &Env{}, Name: ownName}).Screen(&b).Write([]byte(text))
		if b.String() != text {
			t.Errorf("greenroom says %q, want %q", b.String(), text)
		}
	}
}

func TestRoundly(t *testing.T) {
	for waited, want := range map[time.Duration]string{
		20612300920 * time.Nanosecond: "21s",
		200 * time.Millisecond:        "200ms",
		10 * time.Minute:              "10m0s",
	} {
		if got := roundly(waited).String(); got != want {
			t.Errorf("%d ns is told as %s, want %s", waited, got, want)
		}
	}
}
