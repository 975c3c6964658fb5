package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
)

func digest(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// filled makes a store's file with trees of several levels.
func filled(t *testing.T) []byte {
	t.Helper()
	s := openStore(t)
	for i := range 40 {
		events := make([]Event, 15)
		for j := range events {
			events[j] = event(fmt.Sprint("r", j), strings.Repeat("x", 20))
		}
		rec := record(uint64(i) + 1)
		rec.State = bytes.Repeat([]byte("7"), 9000) // more than a page
		if err := s.Save(rec, events); err != nil {
			t.Fatal(err)
		}
	}
	_, hash := NewSecret()
	if err := s.PutToken(Token{ID: "t1", Name: "ci", Hash: hash}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refused opens a file of that content and wants that error and the file left
// as it is.
func refused(t *testing.T, name string, content []byte, want error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "greenroom.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before := digest(t, path)
	s, err := Open(path)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
		t.Errorf("%s: %v; want %q and the path", name, err, want)
	}
	if digest(t, path) != before {
		t.Errorf("%s: the file was changed", name)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%s: beside the file there is %v (%v)", name, left, err)
	}
}

func changed(content []byte, offset int, to ...byte) []byte {
	c := bytes.Clone(content)
	copy(c[offset:], to)
	return c
}

func TestOpenRefusesAndLeavesTheFile(t *testing.T) {
	good := filled(t)
	page := os.Getpagesize()
	random := make([]byte, 100_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	newer := 0
	if binary.NativeEndian.Uint64(good[page+headerSize+48:]) > binary.NativeEndian.Uint64(good[headerSize+48:]) {
		newer = page
	}
	for _, c := range []struct {
		name    string
		content []byte
		want    error
	}{
		{"empty", nil, ErrDamaged},
		{"one byte", good[:1], ErrForeign},
		{"cut in the first page", good[:page/2], ErrDamaged},
		{"cut after the first page", good[:page], ErrDamaged},
		{"cut after the metas", good[:2*page], ErrDamaged},
		{"cut in half", good[:len(good)/2], ErrDamaged},
		{"text", []byte(strings.Repeat("greenroom\n", 10_000)), ErrForeign},
		{"zeros", make([]byte, 1<<20), ErrForeign},
		{"random", random, ErrForeign},
		{"first page overwritten", changed(good, 0, make([]byte, page)...), ErrDamaged},
		{"second page overwritten", changed(good, page, make([]byte, page)...), ErrDamaged},
		{"all behind the metas overwritten", changed(good, 2*page, make([]byte, len(good)-2*page)...), ErrDamaged},
		{"a checksum", changed(good, headerSize+56, good[headerSize+56]+1), ErrDamaged},
		{"the newer transaction", changed(good, newer+headerSize+48, 0xFF), ErrDamaged},
	} {
		refused(t, c.name, c.content, c.want)
	}
	path := filepath.Join(t.TempDir(), "greenroom.db")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatalf("the file that the cases change is refused itself: %v", err)
	}
	defer s.Close()
	if log, err := s.Events(0, 0); err != nil || len(log) != 600 {
		t.Errorf("%d events of 600 (%v)", len(log), err)
	}
}

// Every single changed bit in what the metas say is noticed.
func TestOpenRefusesEveryFlippedBitOfAMeta(t *testing.T) {
	good := filled(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "greenroom.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(good); err != nil {
		t.Fatal(err)
	}
	for _, page := range []int{0, os.Getpagesize()} {
		for i := range headerSize + metaSize {
			if i >= 10 && i < headerSize {
				continue // counts that a meta page does not use
			}
			for bit := range 8 {
				at := int64(page + i)
				if _, err := f.WriteAt([]byte{good[at] ^ 1<<bit}, at); err != nil {
					t.Fatal(err)
				}
				if err := check(f); !errors.Is(err, ErrDamaged) {
					t.Fatalf("bit %d of byte %d flipped: %v; want ErrDamaged", bit, at, err)
				}
				if _, err := f.WriteAt(good[at:at+1], at); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := check(f); err != nil {
		t.Fatal(err)
	}
}

// A flipped bit anywhere is refused or does no harm: never a panic, a fault or
// another state.
func TestAFlippedBitAnywhereIsRefusedOrHarmless(t *testing.T) {
	good := filled(t)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4))
	refusals := 0
	for i := range 200 {
		path := filepath.Join(dir, fmt.Sprint(i))
		at := rng.IntN(len(good))
		if err := os.WriteFile(path, changed(good, at, good[at]^1<<rng.IntN(8)), 0o600); err != nil {
			t.Fatal(err)
		}
		before := digest(t, path)
		s, err := Open(path)
		if err != nil {
			refusals++
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
				t.Errorf("byte %d: %v", at, err)
			}
			if digest(t, path) != before {
				t.Errorf("byte %d: a refused file was changed", at)
			}
			os.Remove(path)
			continue
		}
		rec, ok, err := s.Load()
		if err != nil || !ok || rec.Revision != 40 || len(rec.State) != 9000 {
			t.Errorf("byte %d: opened, and the record is %d of %d bytes (%v)", at, rec.Revision, len(rec.State), err)
		}
		if log, err := s.Events(0, 0); err != nil || len(log) != 600 || log[599].Seq != 600 {
			t.Errorf("byte %d: opened with %d events (%v)", at, len(log), err)
		}
		if err := s.Save(record(41), nil); err != nil {
			t.Errorf("byte %d: opened, and then: %v", at, err)
		}
		s.Close()
		os.Remove(path)
	}
	if refusals == 0 {
		t.Error("no flipped bit was noticed")
	}
}

func TestOpenRefusesAForeignBoltFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("state"))
		if err != nil {
			return err
		}
		return b.Put([]byte("record"), []byte("theirs"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "another program's", content, ErrForeign)
}

func TestOpenRefusesWhatAnotherProgramWroteTo(t *testing.T) {
	s := openStore(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(s.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucketState)).Put([]byte("x"), nil) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "written to", content, ErrDamaged)
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(pipe); !errors.Is(err, ErrForeign) {
		t.Errorf("a pipe: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "greenroom.db")); err == nil {
		t.Error("below a file: no error")
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(loop); err == nil {
		t.Error("a link to itself: no error")
	}
}
