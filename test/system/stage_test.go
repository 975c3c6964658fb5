package system

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lease is how long the stage may be empty: a lease that nobody gave back, the
// pause of the worker that asks again, and what a crowded machine takes.
const lease = 3*time.Second + 2*time.Second + 10*time.Second

// note is one line of the workers' journal.
type note struct {
	at    time.Time
	who   string // service=version
	pid   string
	epoch int
	what  string // enter, work, leave
}

func readJournal(t *testing.T, path string) []note {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var notes []note
	for scan := bufio.NewScanner(f); scan.Scan(); {
		fields := strings.Fields(scan.Text())
		if len(fields) != 5 {
			t.Fatalf("the journal has %q", scan.Text())
		}
		at, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		epoch, err := strconv.Atoi(fields[3])
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, note{at: time.UnixMilli(at), who: fields[1], pid: fields[2], epoch: epoch, what: fields[4]})
	}
	return notes
}

// TestStage lets two versions of a worker take turns at one queue: through a
// preview, a promotion, a rollback, and kills of greenroom. There are never two
// of them on stage, and never none for longer than a lease.
func TestStage(t *testing.T) {
	t.Parallel()
	s := newSystem(t, strings.Replace(one, "VERSION: v1", "VERSION: v1, WORKER: DIR/journal", 1))
	s.program = impatient
	s.start()
	journal := filepath.Join(s.dir, "journal")
	working := func(who string) {
		t.Helper()
		asked := time.Now()
		s.eventually(who+" works", func() error {
			notes := readJournal(t, journal)
			if len(notes) == 0 {
				return fmt.Errorf("nobody does")
			}
			if last := notes[len(notes)-1]; last.who != who || last.what != "work" || last.at.Before(asked) {
				return fmt.Errorf("the last to work is %+v", last)
			}
			return nil
		})
	}
	working("web=v1")
	s.open("r1", web("v2"))
	s.answers("web=v2", "Greenroom-Pass", s.pass("r1"))
	working("web=v1") // a preview does not eat production's queue
	s.kill()
	working("web=v1") // without greenroom, who is on stage stays
	s.start()
	working("web=v1")
	s.must("promote", "--yes")
	working("web=v2")
	s.kill()
	s.start()
	working("web=v2")
	s.must("rollback", "--yes")
	working("web=v1")
	s.must("promote", "--yes")
	s.kill()
	s.start()
	working("web=v2")

	notes := readJournal(t, journal)
	on, epoch := "", 0
	for i, n := range notes {
		if i > 0 && n.at.Sub(notes[i-1].at) > lease {
			t.Errorf("nobody was on stage from %v to %v", notes[i-1].at, n.at)
		}
		switch {
		case n.what == "enter" && on != "":
			t.Fatalf("%s came on stage while %s was there", n.who, on)
		case n.what == "enter":
			on = n.who
		case n.who != on:
			t.Fatalf("%s does %s, and %q is on stage", n.who, n.what, on)
		case n.what == "leave":
			on = ""
		}
		if n.epoch < epoch {
			t.Errorf("the epoch fell from %d to %d at %+v", epoch, n.epoch, n)
		}
		epoch = n.epoch
	}
	if got := notes[len(notes)-1]; got.epoch < 3 {
		t.Errorf("after three switches the epoch is %d", got.epoch)
	}
	seen := map[string]bool{}
	for _, n := range notes {
		if n.who == "web=v2" && n.what == "enter" {
			seen[n.pid] = true
		}
	}
	if len(seen) != 1 {
		t.Errorf("the candidate ran as %v: it was restarted", seen)
	}
}
