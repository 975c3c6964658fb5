package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/durable/disktest"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/login"
	"github.com/greenroom-dev/greenroom/internal/pass"
	"github.com/greenroom-dev/greenroom/internal/store"
)

// large is more than what a file has room for without growing.
var large = strings.Repeat("x", 64<<10)

// crowded is a store on a small disk.
type crowded struct {
	*disktest.Disk
	folder string
	store  *store.Store
	log    bytes.Buffer
}

func newCrowded(t *testing.T) *crowded {
	t.Helper()
	c := &crowded{folder: t.TempDir()}
	c.Disk = disktest.Mount(t, c.folder, 4<<20)
	c.open(t)
	t.Cleanup(func() { _ = c.store.Close() })
	return c
}

func (c *crowded) open(t *testing.T) {
	t.Helper()
	var err error
	if c.store, err = store.Open(filepath.Join(c.folder, "greenroom.db")); err != nil {
		t.Fatal(err)
	}
}

func (c *crowded) reopen(t *testing.T) {
	t.Helper()
	if err := c.store.Close(); err != nil {
		t.Fatal(err)
	}
	c.open(t)
}

func (c *crowded) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&c.log, nil)) }

// callback records a callback address whose record takes many pages.
func (c *crowded) callback(t *testing.T, id string, count int) {
	t.Helper()
	err := c.store.PutPass(store.Pass{ID: id, Release: "r1", Issued: time.Now(), Expires: time.Now().Add(time.Hour),
		Callback: &pass.Callback{Token: "T" + id, Paths: []string{"/" + large}, Count: count}})
	if err != nil {
		t.Fatal(err)
	}
}

// used is how many calls of a callback address are on disk.
func (c *crowded) used(t *testing.T, id string) int {
	t.Helper()
	all, err := c.store.Passes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.ID == id {
			return p.Used
		}
	}
	t.Fatalf("%s is gone", id)
	return 0
}

// On a full disk no call is let through that is not counted, and none that was
// let through is forgotten.
func TestCallbacksOnAFullDisk(t *testing.T) {
	c := newCrowded(t)
	c.callback(t, "counted", 3)
	c.callback(t, "free", 0)
	p := newPasses(nil, c.store, c.logger(), time.Now)
	p.spent = func() {}
	took := func(id string, count int) bool {
		t.Helper()
		ok, err := p.UseCallback(id, count, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	c.Fill()
	for range 5 {
		if ok, err := p.UseCallback("counted", 3, time.Now()); ok || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("a call that can not be counted: %t, %v", ok, err)
		}
		if !took("free", 0) {
			t.Fatal("a call that needs no count is refused")
		}
		p.flush()
	}
	if n := strings.Count(c.log.String(), "can not be written down"); n != 1 {
		t.Errorf("the log says so %d times:\n%s", n, c.log.String())
	}
	if used := c.used(t, "free"); used != 0 {
		t.Fatalf("the disk was not full: %d calls are on it", used)
	}
	c.Free()
	p.flush()
	if used := c.used(t, "free"); used != 5 {
		t.Errorf("of 5 calls %d are on disk", used)
	}
	for i, want := range []bool{true, true, true, false, false} {
		if took("counted", 3) != want {
			t.Errorf("call %d with room again: taken %t", i+1, !want)
		}
	}
	c.reopen(t)
	if used := c.used(t, "counted"); used != 3 {
		t.Errorf("3 calls were taken, %d are on disk", used)
	}
}

// everybody is a provider's person of any group.
type everybody struct{}

func (everybody) Role(string, string, []string) httpapi.Role { return httpapi.Operator }

// On a full disk people can log in and out; who had a session keeps it.
func TestSessionsOnAFullDisk(t *testing.T) {
	c := newCrowded(t)
	kept := newSessions(c.store, c.logger(), time.Now)
	all := login.NewSessions(kept, nil, everybody{}, time.Now)
	begin := func(name string) string {
		t.Helper()
		cookie, _, err := all.Begin(login.Session{Name: name, Via: login.ByOIDC, From: login.Provider{Groups: []string{large}, Life: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		return cookie
	}
	has := func(cookie string) bool {
		t.Helper()
		_, _, err := all.Find(t.Context(), cookie)
		if err != nil && !errors.Is(err, login.ErrNone) {
			t.Fatal(err)
		}
		return err == nil
	}
	ann, bob := begin("ann"), begin("bob")
	c.Fill()
	cid := begin("cid")
	if !strings.Contains(c.log.String(), "can not be kept on disk") || !strings.Contains(c.log.String(), "no space left") {
		t.Errorf("the log:\n%s", c.log.String())
	}
	if !has(ann) || !has(bob) || !has(cid) {
		t.Errorf("ann %t, bob %t, cid %t", has(ann), has(bob), has(cid))
	}
	dan := begin("dan")
	for _, cookie := range []string{bob, dan} {
		if err := all.End(cookie); err != nil {
			t.Errorf("log out: %v", err)
		}
	}
	if has(bob) || has(dan) {
		t.Errorf("after logging out: bob %t, dan %t", has(bob), has(dan))
	}
	c.Free()
	kept.forgetEnded()
	c.reopen(t)
	all = login.NewSessions(newSessions(c.store, c.logger(), time.Now), nil, everybody{}, time.Now)
	if !has(ann) || has(bob) || has(cid) || has(dan) {
		t.Errorf("after a restart: ann %t, bob %t, cid %t, dan %t", has(ann), has(bob), has(cid), has(dan))
	}
	if eve := begin("eve"); !has(eve) {
		t.Error("with room again nobody can log in")
	}
}

// A session whose end could not be written is over, and taken out later.
func TestEndOfASessionThatCouldNotBeWritten(t *testing.T) {
	c := newCrowded(t)
	s := newSessions(c.store, c.logger(), time.Now)
	if err := s.PutSession("a", time.Now().Add(time.Hour), []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	if err := c.store.Close(); err != nil { // every write fails now
		t.Fatal(err)
	}
	if err := s.DropSession("a"); err != nil {
		t.Errorf("log out: %v", err)
	}
	if _, ok, err := s.Session("a"); ok || err != nil {
		t.Errorf("it is there: %t, %v", ok, err)
	}
	c.open(t)
	s.store = c.store
	s.forgetEnded()
	if _, ok, err := c.store.Session("a"); ok || err != nil {
		t.Errorf("it is on disk still: %t, %v", ok, err)
	}
	if len(s.ended) != 0 {
		t.Errorf("still to be taken out: %v", s.ended)
	}
}

// Of the file of places a full disk leaves the former one, whole, and no other.
func TestPlacesOnAFullDisk(t *testing.T) {
	c := newCrowded(t)
	p := &places{file: filepath.Join(c.folder, notifyFile)}
	if err := p.Save(t.Context(), "audit", 7); err != nil {
		t.Fatal(err)
	}
	c.Fill()
	if err := p.Save(t.Context(), "audit", 8); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(fmt.Sprint(err), p.file) {
		t.Errorf("got %v, want no space left and the file", err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.folder, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	again := &places{file: p.file}
	if by, err := again.Load(t.Context()); err != nil || by["audit"] != 7 {
		t.Errorf("after a restart: %v, %v", by, err)
	}
	c.Free()
	if err := p.Save(t.Context(), "chat", 9); err != nil {
		t.Fatal(err)
	}
	again = &places{file: p.file}
	if by, err := again.Load(t.Context()); err != nil || by["audit"] != 8 || by["chat"] != 9 {
		t.Errorf("with room again: %v, %v", by, err)
	}
}

func TestDoctorLooksAtTheDisk(t *testing.T) {
	folder := t.TempDir()
	disk := disktest.Mount(t, folder, 4<<20)
	if f := examineDisk(folder); len(f) != 1 || f[0].Level != levelWarning || f[0].Remedy == "" {
		t.Errorf("with little room: %+v", f)
	}
	disk.Fill()
	if f := examineDisk(folder); len(f) != 1 || f[0].Level != levelProblem || !strings.Contains(f[0].Message, "full disk") {
		t.Errorf("with none: %+v", f)
	}
}
