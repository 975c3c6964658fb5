package process_test

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greenroom-dev/greenroom/internal/process"
)

func TestWithEnv(t *testing.T) {
	same := identify(t, start(t, "GREENROOM_TEST_MARK=whole"))
	identify(t, start(t, "GREENROOM_TEST_MARK=whole and more"))
	for variable, want := range map[string][]process.Identity{
		"GREENROOM_TEST_MARK=whole": {same},
		"TEST_MARK=whole":           nil,
		"GREENROOM_TEST_MARK":       nil,
	} {
		if got, err := process.WithEnv(variable); err != nil || !slices.Equal(got, want) {
			t.Errorf("with %s: %v (%v), want %v", variable, got, err, want)
		}
	}
}

func TestInSession(t *testing.T) {
	id := identify(t, start(t))
	own, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	members, err := process.InSession(own)
	if err != nil || !slices.Contains(members, id.PID) {
		t.Errorf("the session %d is %v (%v), want %d in it", own, members, err, id.PID)
	}
}
