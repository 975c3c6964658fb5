package propagate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestStampInBaggage(t *testing.T) {
	for baggage, want := range map[string]string{
		"":                              "",
		"greenroom.release=r42":         "r42",
		"a=1,greenroom.release=r42,b=2": "r42",
		" a=1 , \tgreenroom.release = r42 ;p;q=1 ,b":    "r42",
		"greenroom.release=r%34%32":                     "r42",
		"greenroom.release=r42.2":                       "r42.2",
		"greenroom.release=r1,greenroom.release=r2":     "r2",
		"greenroom.release=r1,greenroom.release=":       "r1",
		"greenroom.release":                             "",
		"greenroom.release=":                            "",
		"greenroom.release;p=r42":                       "",
		"greenroom.release=%zz":                         "",
		"greenroom.release=r4+2":                        "",
		"greenroom.release=r%2C2":                       "",
		"greenroom.release=r\"4\"":                      "",
		"greenroom.release=r42 x":                       "",
		"Greenroom.Release=r42":                         "", // keys mind their case
		"greenroom.releases=r42":                        "",
		"xgreenroom.release=r42":                        "",
		"greenroom%2Erelease=r42":                       "", // keys are not encoded
		"a=greenroom.release=r42":                       "",
		"a=1;greenroom.release=r42":                     "", // a property of another's
		",,,greenroom.release=r42,":                     "r42",
		"greenroom.release=" + strings.Repeat("r", 129): "",
		"greenroom.release=" + strings.Repeat("r", 128): strings.Repeat("r", 128),
	} {
		if got := stampInBaggage(baggage); got != want {
			t.Errorf("stampInBaggage(%q) = %q, want %q", baggage, got, want)
		}
	}
}

func TestRewriteBaggage(t *testing.T) {
	numbered := func(n int) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf("k%d=v", i))
		}
		return strings.Join(members, ",")
	}
	long := "a=" + strings.Repeat("x", maxBaggageBytes-len("a=")-len("greenroom.release=r42,"))
	for _, c := range []struct{ name, baggage, stamp, want string }{
		{"into none", "", "r42", "greenroom.release=r42"},
		{"out of none", "", "", ""},
		{"beside others", "a=1, b=2;p = x ;q", "r42", "greenroom.release=r42,a=1, b=2;p = x ;q"},
		{"there already", "a=1 ,greenroom.release=r42,b=2", "r42", "a=1 ,greenroom.release=r42,b=2"},
		{"there already, encoded", "greenroom.release=r%342", "r42", "greenroom.release=r%342"},
		{"in place of another", "a=1,greenroom.release=r41;p,b=2", "r42", "greenroom.release=r42,a=1,b=2"},
		{"in place of several", "greenroom.release=r42,a=1,greenroom.release=r41", "r42", "greenroom.release=r42,a=1"},
		{"in place of twins", "greenroom.release=r42,a=1,greenroom.release=r42", "r42", "greenroom.release=r42,a=1"},
		{"in place of a malformed one", "greenroom.release,a=1", "r42", "greenroom.release=r42,a=1"},
		{"taken out", "a=1,greenroom.release=r42,b=2", "", "a=1,b=2"},
		{"taken out alone", "greenroom.release=r42", "", ""},
		{"nothing to take out", "a=1,,b", "", "a=1,,b"},
		{"malformed members of others", "a,=1,b=\"x\\\",c=ä%zz", "r42", "greenroom.release=r42,a,=1,b=\"x\\\""},
		{"bytes that no header holds", "a=1,b=x\r\ny,c=\x00,d=2", "r42", "greenroom.release=r42,a=1,d=2"},
		{"empty members", "a=1,, ,b=2,", "r42", "greenroom.release=r42,a=1,b=2"},
		{"up to the size", long, "r42", "greenroom.release=r42," + long},
		{"beyond the size", "b=1," + long, "r42", "greenroom.release=r42,b=1"},
		{"beyond the size with the stamp in it", long + ",x,greenroom.release=r42", "r42", "greenroom.release=r42," + long},
		{"up to the number", numbered(179), "r42", "greenroom.release=r42," + numbered(179)},
		{"beyond the number", numbered(200), "r42", "greenroom.release=r42," + numbered(179)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := rewriteBaggage(c.baggage, c.stamp)
			if got != c.want {
				t.Errorf("rewriteBaggage(%q, %q)\n got %q\nwant %q", c.baggage, c.stamp, got, c.want)
			}
			if got != "" && stampInBaggage(got) != c.stamp {
				t.Errorf("reads back as %q", stampInBaggage(got))
			}
		})
	}
}

func FuzzRewriteBaggage(f *testing.F) {
	for _, seed := range []string{
		"", "a=1", "greenroom.release=r1,b=2;p=q", " greenroom.release = r%31 ; p , x", ",,\t,a=\x7f",
		"greenroom.release", "a=1,greenroom.release=r1,greenroom.release=r2", strings.Repeat("a=1,", 300),
	} {
		f.Add(seed, "r42")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, baggage, stamp string) {
		if !validStamp(stamp) {
			stamp = ""
		}
		out := rewriteBaggage(baggage, stamp)
		if got := stampInBaggage(out); got != stamp {
			t.Errorf("the stamp reads back as %q, want %q", got, stamp)
		}
		if hasOwnMember(out) != (stamp != "") {
			t.Errorf("our member is in %q, stamp %q", out, stamp)
		}
		if len(out) > maxBaggageBytes || strings.Count(out, ",") >= maxBaggageMembers || !sendable(out) {
			t.Errorf("%d bytes, %d commas, sendable %v", len(out), strings.Count(out, ","), sendable(out))
		}
		if again := rewriteBaggage(out, stamp); again != out {
			t.Errorf("not stable: %q, then %q", out, again)
		}
		wantPrefix(t, others(baggage), others(out))
	})
}

// others are the members that must be left alone.
func others(baggage string) []string {
	var out []string
	for _, m := range strings.Split(baggage, ",") {
		if _, own := ownMember(m); !own && strings.Trim(m, " \t") != "" && sendable(m) {
			out = append(out, m)
		}
	}
	return out
}

func wantPrefix(t *testing.T, before, after []string) {
	t.Helper()
	size := len(strings.Join(before, ","))
	if len(after) > len(before) || !slices.Equal(before[:len(after)], after) {
		t.Fatalf("others were %q, are %q", before, after)
	}
	if room := maxBaggageBytes - maxStamp - len(Member) - 2; len(after) < len(before) && size < room && len(before) < maxBaggageMembers {
		t.Errorf("others were dropped without need: %q, now %q", before, after)
	}
}
