package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func TestSessionsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "greenroom.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_000_000, 0)
	if _, ok, err := s.Session("a"); ok || err != nil {
		t.Errorf("of none: %t, %v", ok, err)
	}
	if err := s.DropSession("a"); err != nil {
		t.Errorf("dropping none: %v", err)
	}
	for id, life := range map[string]time.Duration{"a": time.Hour, "b": time.Minute} {
		if err := s.PutSession(id, now.Add(life), now, []byte("sealed "+id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if sealed, ok, err := s.Session("a"); !ok || err != nil || string(sealed) != "sealed a" {
		t.Errorf("after a restart: %q, %t, %v", sealed, ok, err)
	}
	if err := s.PutSession("c", now.Add(time.Hour), now.Add(time.Minute), nil); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.Session("b"); ok {
		t.Error("a session that ended is kept")
	}
	if err := s.DropSession("a"); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.Session("a"); ok {
		t.Error("a session that was dropped is kept")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "greenroom.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Unix(1_000_000, 0)
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(bucketSessions))
		for i := 0; err == nil && i < maxSessions; i++ {
			err = put(b, fmt.Append(nil, i), []byte{0, 0, 0, 0, 0, 0x0f, 0x42 + 1, byte(i / 256)}, nil)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutSession("new", now.Add(time.Hour), now, nil); err != nil {
		t.Fatal(err)
	}
	_ = s.db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket([]byte(bucketSessions)).Stats().KeyN; n != maxSessions {
			t.Errorf("%d are kept", n)
		}
		return nil
	})
	if _, ok, _ := s.Session("0"); ok {
		t.Error("the one that ended first is kept")
	}
}
