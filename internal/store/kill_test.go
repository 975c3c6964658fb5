package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// envSaver makes the test binary a process that saves in a loop to the store
// that it names.
const envSaver = "GREENROOM_TEST_SAVER"

func TestMain(m *testing.M) {
	if path := os.Getenv(envSaver); path != "" {
		fmt.Fprintln(os.Stderr, saveForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// eventsOf is how many events come with a revision.
func eventsOf(revision uint64) int { return int(revision % 3) }

// saveForever saves revision after revision and reports each on stdout once it
// is durable.
func saveForever(path string) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	rec, _, err := s.Load()
	if err != nil {
		return err
	}
	for {
		rec.Revision++
		rec.State = json.RawMessage(fmt.Sprintf("%d%0*d", rec.Revision, int(rec.Revision%20)*1000, 0))
		events := make([]Event, eventsOf(rec.Revision))
		for i := range events {
			events[i] = Event{Type: "saved", Release: "r1", Message: fmt.Sprint(rec.Revision)}
		}
		if err := s.Save(rec, events); err != nil {
			return err
		}
		fmt.Println(rec.Revision)
	}
}

// killWhileSaving starts a saver, kills it at some moment after it reported a
// few revisions, and returns the last one that it reported.
func killWhileSaving(t *testing.T, path string) (reported uint64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envSaver+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	enough := rand.IntN(10)
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if reported, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if n == enough {
			time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { cmd.Process.Kill() })
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the saver was not killed but ended by itself: %v", err)
	}
	return reported
}

func TestKilledWhileSaving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenroom.db")
	for range 50 {
		reported := killWhileSaving(t, path)
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		rec, _, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		if rec.Revision != reported && rec.Revision != reported+1 {
			t.Fatalf("revision %d is stored, %d was the last reported", rec.Revision, reported)
		}
		if want := fmt.Sprintf("%d%0*d", rec.Revision, int(rec.Revision%20)*1000, 0); string(rec.State) != want {
			t.Fatalf("revision %d has the data of another", rec.Revision)
		}
		log, err := s.Events(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for revision := uint64(1); revision <= rec.Revision; revision++ {
			for range eventsOf(revision) {
				if i == len(log) || log[i].Message != fmt.Sprint(revision) || log[i].Seq != uint64(i)+1 {
					t.Fatalf("of revision %d is stored, event %d is not of revision %d", rec.Revision, i+1, revision)
				}
				i++
			}
		}
		if i != len(log) {
			t.Fatalf("%d events too many for revision %d", len(log)-i, rec.Revision)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
