package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func openStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state", "greenroom.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopen closes the store and opens its file again.
func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

func record(revision uint64) Record {
	return Record{Revision: revision, State: json.RawMessage(fmt.Sprintf(`{"default":"r%d"}`, revision))}
}

func event(release, kind string) Event {
	return Event{
		Time: noon, Type: kind, Release: release, Who: "ada", Why: "friday", Message: kind + " " + release,
		Data: json.RawMessage(`{"a":1}`),
	}
}

func seqs(events []Event) []uint64 {
	var s []uint64
	for _, e := range events {
		s = append(s, e.Seq)
	}
	return s
}

func TestSaveKeepsRecordAndEventsOverARestart(t *testing.T) {
	s := openStore(t)
	if _, ok, err := s.Load(); ok || err != nil {
		t.Fatalf("a new store has a record: %v, %v", ok, err)
	}
	events := []Event{event("r1", "opened"), event("r1", "promoted")}
	if err := s.Save(record(1), events); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{1, 2}, seqs(events)); diff != "" {
		t.Errorf("numbers of the saved events (-want +got):\n%s", diff)
	}
	s = reopen(t, s)
	got, ok, err := s.Load()
	if !ok || err != nil {
		t.Fatalf("no record after a restart: %v", err)
	}
	if diff := cmp.Diff(record(1), got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	kept, err := s.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events, kept); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSaveRefusesWhatDoesNotFollow(t *testing.T) {
	s := openStore(t)
	for _, revision := range []uint64{0, 2} {
		if err := s.Save(record(revision), nil); !errors.Is(err, ErrStale) {
			t.Errorf("revision %d as the first: %v; want ErrStale", revision, err)
		}
	}
	if err := s.Save(record(1), nil); err != nil {
		t.Fatal(err)
	}
	events := []Event{event("r2", "opened")}
	for _, revision := range []uint64{0, 1, 3} {
		if err := s.Save(record(revision), events); !errors.Is(err, ErrStale) {
			t.Errorf("revision %d after 1: %v; want ErrStale", revision, err)
		}
	}
	if got, _, _ := s.Load(); got.Revision != 1 {
		t.Errorf("revision %d after refusals, want 1", got.Revision)
	}
	if log, _ := s.Events(0, 0); len(log) != 0 || events[0].Seq != 0 {
		t.Errorf("refused saves left events: %v", log)
	}
}

func TestSaveWithABadEventChangesNothing(t *testing.T) {
	s := openStore(t)
	for name, bad := range map[string]Event{
		"data is no JSON":      {Type: "x", Data: json.RawMessage("{")},
		"release with a zero":  {Type: "x", Release: "r1\x00"},
		"time beyond year 10k": {Type: "x", Time: time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := s.Save(record(1), []Event{event("r1", "opened"), bad}); err == nil {
			t.Errorf("%s: saved", name)
		}
		if _, ok, _ := s.Load(); ok {
			t.Errorf("%s: the record was saved without its events", name)
		}
		if log, _ := s.Events(0, 0); len(log) != 0 {
			t.Errorf("%s: %d events were kept", name, len(log))
		}
	}
}

func TestOneOfManyWritersOfARevisionWins(t *testing.T) {
	s := openStore(t)
	var wg sync.WaitGroup
	var won sync.Map
	for writer := range 8 {
		wg.Go(func() {
			err := s.Save(Record{Revision: 1, State: json.RawMessage(fmt.Sprint(writer))}, []Event{event(fmt.Sprint("r", writer), "opened")})
			switch {
			case err == nil:
				won.Store(writer, true)
			case !errors.Is(err, ErrStale):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, _, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	log, err := s.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	winners := 0
	won.Range(func(writer, _ any) bool {
		winners++
		if string(got.State) != fmt.Sprint(writer) || len(log) != 1 || log[0].Release != fmt.Sprint("r", writer) {
			t.Errorf("writer %v won, the record says %s, the log %v", writer, got.State, log)
		}
		return true
	})
	if winners != 1 {
		t.Errorf("%d writers won", winners)
	}
}

func TestASecondGreenroomIsTold(t *testing.T) {
	s := openStore(t)
	_, err := Open(s.path)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), s.path) {
		t.Errorf("opened twice: %v; want ErrInUse with the path", err)
	}
	if err := s.Save(record(1), nil); err != nil {
		t.Errorf("the first one was disturbed: %v", err)
	}
}

func TestStoresMadeAtOnceAreOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenroom.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Append(event("r1", "opened")), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if log, err := s.Events(0, 0); err != nil || len(log) != 4 {
		t.Errorf("%d events of 4 (%v)", len(log), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the store there is %v (%v)", left, err)
	}
}

func TestTheFileIsForTheOwnerAlone(t *testing.T) {
	s := openStore(t)
	for name, want := range map[string]os.FileMode{s.path: 0o600, filepath.Dir(s.path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestAfterCloseEveryCallFails(t *testing.T) {
	s := openStore(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(); err == nil {
		t.Error("Load works")
	}
	if err := s.Save(record(1), nil); err == nil {
		t.Error("Save works")
	}
	if _, err := s.Events(0, 0); err == nil {
		t.Error("Events works")
	}
}

func fileFormat(t *testing.T, path string) (format uint64, data string) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	format, _, err = readFormat(s.db)
	if err != nil {
		t.Fatal(err)
	}
	rec, _, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	return format, string(rec.State)
}

func TestAnOlderFormatIsMigratedBesideACopy(t *testing.T) {
	s := openStore(t)
	path := s.path
	if err := s.Save(record(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rewrite := func(data string) migration {
		return func(tx *bbolt.Tx) error {
			rec, _, err := readRecord(tx)
			if err != nil {
				return err
			}
			value := append([]byte{0, 0, 0, 0, 0, 0, 0, byte(rec.Revision)}, data...)
			return put(tx.Bucket([]byte(bucketState)), []byte(keyRecord), value)
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	failing := append(migrations(), rewrite(`{"v":2}`), func(*bbolt.Tx) error { return errors.New("no") })
	if _, err := open(path, failing); err == nil || !strings.Contains(err.Error(), "from format 3: no") {
		t.Errorf("a failing migration: %v", err)
	}
	present := uint64(len(migrations())) + 1
	if format, data := fileFormat(t, path); format != present || data != `{"default":"r1"}` {
		t.Errorf("after a failed migration the store has format %d and %s", format, data)
	}

	migrated, err := open(path, append(migrations(), rewrite(`{"v":2}`), rewrite(`{"v":3}`)))
	if err != nil {
		t.Fatal(err)
	}
	format, version, err := readFormat(migrated.db)
	if err != nil || format != 4 || version != ownVersion() {
		t.Errorf("format %d of %s after the migration (%v), want 4 of %s", format, version, err, ownVersion())
	}
	if rec, _, _ := migrated.Load(); string(rec.State) != `{"v":3}` || rec.Revision != 1 {
		t.Errorf("record %+v after the migration", rec)
	}
	if err := migrated.Close(); err != nil {
		t.Fatal(err)
	}

	kept, err := os.ReadFile(path + ".format-2")
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(before, kept) {
		t.Error("the copy differs from the file before its migration")
	}
	if format, data := fileFormat(t, path+".format-2"); format != present || data != `{"default":"r1"}` {
		t.Errorf("the copy has format %d and %s", format, data)
	}

	after := digest(t, path)
	_, err = Open(path)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "start greenroom "+ownVersion()) {
		t.Errorf("a newer format: %v; want ErrNewer with the version to start", err)
	}
	if digest(t, path) != after {
		t.Error("a refused newer file was changed")
	}
}

func TestWhatIsKeptStaysUntilItIsWrittenAgain(t *testing.T) {
	s := openStore(t)
	for revision, kept := range []string{"1", "", "2", ""} {
		rec := record(uint64(revision) + 1)
		if kept != "" {
			rec.Kept = json.RawMessage(kept)
		} else if revision == 1 {
			rec.Bulk = json.RawMessage("[1]")
		}
		if err := s.Save(rec, nil); err != nil {
			t.Fatal(err)
		}
	}
	again := reopen(t, s)
	rec, _, err := again.Load()
	if err != nil || string(rec.Kept) != "2" || string(rec.Bulk) != "[1]" || string(rec.State) != `{"default":"r4"}` {
		t.Errorf("record %+v, error %v", rec, err)
	}
}

// In format 1 what is kept lay beside the state, in one bucket.
func TestFormat1IsReadOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenroom.db")
	s, err := open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(record(1), nil); err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketBulk, bucketKept} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return put(tx.Bucket([]byte(bucketState)), []byte(keyKept), []byte(`{"fleet":1}`))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	now, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = now.Close() })
	rec, ok, err := now.Load()
	if err != nil || !ok || rec.Revision != 1 || string(rec.State) != `{"default":"r1"}` || string(rec.Kept) != `{"fleet":1}` || rec.Bulk != nil {
		t.Errorf("it is read as %+v, %v, %v", rec, ok, err)
	}
	if err := now.Save(record(2), nil); err != nil {
		t.Fatal(err)
	}
	if rec, _, err = now.Load(); err != nil || rec.Revision != 2 || string(rec.Kept) != `{"fleet":1}` {
		t.Errorf("after a change it is %+v, %v", rec, err)
	}
}

// bbolt writes the whole of a bucket's page again with each value on it.
func TestASaveWritesNothingOfWhatStays(t *testing.T) {
	s := openStore(t)
	first := record(1)
	first.Bulk, first.Kept = bytes.Repeat([]byte("b"), 1<<20), bytes.Repeat([]byte("k"), 1<<20)
	if err := s.Save(first, nil); err != nil {
		t.Fatal(err)
	}
	before := s.db.Stats()
	if err := s.Save(record(2), nil); err != nil {
		t.Fatal(err)
	}
	after := s.db.Stats()
	if wrote := after.TxStats.GetPageAlloc() - before.TxStats.GetPageAlloc(); wrote > 256<<10 {
		t.Errorf("a save of a small state beside 2 MiB that stay wrote %d bytes", wrote)
	}
}
