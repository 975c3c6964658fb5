package hook

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestOutputKeepsItsEnd(t *testing.T) {
	res := newRunner(t).Run(t.Context(), script(`i=0; while [ $i -lt 20000 ]; do echo "line $i of $GREENROOM_PASS"; i=$((i+1)); done`), testContext())
	if !res.Passed {
		t.Fatalf("%+v", res.Err)
	}
	var written int
	for i := range 20000 {
		written += len(fmt.Sprintf("line %d of [pass]\n", i))
	}
	head, kept, _ := strings.Cut(res.Output, "\n")
	if len(kept) != MaxOutput || !strings.HasSuffix(kept, "line 19999 of [pass]\n") {
		t.Errorf("%d bytes are kept, the last %q; want %d", len(kept), kept[len(kept)-30:], MaxOutput)
	}
	if want := fmt.Sprintf("[the first %d bytes of the output were not kept]", written-MaxOutput); head != want {
		t.Errorf("the output begins with %q, want %q", head, want)
	}
	if strings.Contains(res.Output, token[10:20]) {
		t.Error("parts of the pass are in the output")
	}
}

func TestOutputIsValidUTF8(t *testing.T) {
	o := NewOutput("")
	fmt.Fprint(o, strings.Repeat("ä", MaxOutput), "\xff!")
	got := o.String()
	if !utf8.ValidString(got) || !strings.HasSuffix(got, "ä\uFFFD!") {
		t.Errorf("output ends with %q", got[len(got)-10:])
	}
	if _, kept, _ := strings.Cut(got, "\n"); !strings.HasPrefix(kept, "ää") {
		t.Errorf("output begins with %q", kept[:10])
	}
}

// However the output is cut into writes, no secret is in it.
func TestOutputMasksSecrets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ab]{2,6}c`).Draw(t, "secret")
		text := strings.Join(rapid.SliceOf(rapid.OneOf(rapid.Just(secret), rapid.StringMatching(`[ab]{0,4}`))).Draw(t, "parts"), "")
		o := NewOutput(secret)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "written")
			if written, err := o.Write([]byte(rest[:n])); written != n || err != nil {
				t.Fatal(written, err)
			}
			rest = rest[n:]
		}
		if got, want := o.String(), strings.ReplaceAll(text, secret, masked); got != want {
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
	})
}
