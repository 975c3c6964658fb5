package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// tokens are names by secret.
type tokens map[string]string

func (t tokens) Holder(_ context.Context, secret string) (httpapi.Identity, error) {
	if name, ok := t[secret]; ok {
		return httpapi.Identity{Name: name, Role: httpapi.Operator, Via: "token"}, nil
	}
	return httpapi.Identity{}, &httpapi.DeniedError{Anonymous: true, Problem: "nobody's"}
}

func (tokens) Allowed(context.Context, httpapi.Identity, httpapi.Request) error { return nil }

func TestSessions(t *testing.T) {
	c := &clock{time.Unix(1_000_000, 0)}
	known, memory := tokens{"grt_ann": "ann"}, NewMemory(c.now)
	s := NewSessions(memory, known, nil, c.now)

	var denied *httpapi.DeniedError
	if _, _, err := s.ByToken(t.Context(), "grt_eve"); !errors.As(err, &denied) {
		t.Errorf("a token of nobody: %v", err)
	}
	cookie, _, err := s.ByToken(t.Context(), "grt_ann")
	if err != nil {
		t.Fatal(err)
	}
	who, _, err := s.Find(t.Context(), cookie)
	if err != nil || who.Name != "ann" || who.Role != httpapi.Operator {
		t.Errorf("%+v, %v", who, err)
	}
	for id, k := range memory.all {
		if strings.Contains(id, cookie) || bytes.Contains(k.sealed, []byte("grt_ann")) || bytes.Contains(k.sealed, []byte("ann")) {
			t.Error("what is kept can be read without the cookie")
		}
	}
	for _, bad := range []string{"", "x", cookie[:62], strings.Repeat("0", 64), cookie + "00"} {
		if _, _, err := s.Find(t.Context(), bad); !errors.Is(err, ErrNone) {
			t.Errorf("cookie %q: %v", bad, err)
		}
	}
	delete(known, "grt_ann")
	if _, _, err := s.Find(t.Context(), cookie); !errors.Is(err, ErrNone) {
		t.Errorf("of a revoked token: %v", err)
	}
	known["grt_ann"] = "ann"
	if _, _, err := s.Find(t.Context(), cookie); !errors.Is(err, ErrNone) {
		t.Errorf("a session that ended came back: %v", err)
	}

	cookie, _, err = s.Begin(Session{Name: "bob", Role: httpapi.Viewer, Via: ByLink})
	if err != nil {
		t.Fatal(err)
	}
	if who, _, err := s.Find(t.Context(), cookie); err != nil || who != (httpapi.Identity{Name: "bob", Role: httpapi.Viewer, Via: ByLink}) {
		t.Errorf("%+v, %v", who, err)
	}
	if len(memory.all) != 0 {
		t.Error("a session that began by a link outlives a restart")
	}
	c.t = c.t.Add(OtherLife)
	if _, _, err := s.Find(t.Context(), cookie); !errors.Is(err, ErrNone) {
		t.Errorf("after its life: %v", err)
	}
	cookie, _, err = s.Begin(Session{Name: "bob", Role: httpapi.Viewer, Via: ByLink})
	if err != nil || s.End(cookie) != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Find(t.Context(), cookie); !errors.Is(err, ErrNone) {
		t.Errorf("after its end: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := &clock{time.Unix(0, 0)}
	m := NewMemory(c.now)
	for i := range maxSessions + 5 {
		if err := m.PutSession(fmt.Sprint(i), c.t.Add(time.Hour+time.Duration(i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, first, _ := m.Session("0"); first || len(m.all) != maxSessions {
		t.Errorf("%d are kept, the first: %t", len(m.all), first)
	}
}

func TestLinks(t *testing.T) {
	c := &clock{time.Unix(0, 0)}
	l := NewLinks(c.now)
	code := made(t, l)
	if s, ok := l.Take(code); !ok || s.Name != "ann" || s.Role != httpapi.Admin || s.Via != ByLink {
		t.Errorf("%+v %t", s, ok)
	}
	if _, ok := l.Take(code); ok {
		t.Error("a link works twice")
	}
	code = made(t, l)
	c.t = c.t.Add(LinkLife)
	if _, ok := l.Take(code); ok {
		t.Error("a link works after its life")
	}
	for range 3 * maxLinks {
		code = made(t, l)
		c.t = c.t.Add(time.Millisecond)
	}
	if _, ok := l.Take(code); !ok || len(l.open) > maxLinks {
		t.Errorf("of many links the last is good: %t, and %d wait", ok, len(l.open))
	}
}

func made(t *testing.T, l *Links) string {
	t.Helper()
	code, _, err := l.Make("ann", httpapi.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// TestTokenLinks holds a link of a token to the session that the token itself
// would begin, and what waits to what nobody can read.
func TestTokenLinks(t *testing.T) {
	c := &clock{time.Unix(1_000_000, 0)}
	known := tokens{"grt_ann": "ann"}
	l, s := NewLinks(c.now), NewSessions(NewMemory(c.now), known, nil, c.now)
	code, ends, err := l.MakeFor("ann", "grt_ann")
	if err != nil || !ends.Equal(c.t.Add(LinkLife)) {
		t.Fatalf("until %v, %v", ends, err)
	}
	for id, one := range l.open {
		if strings.Contains(id, code) || bytes.Contains(one.sealed, []byte("grt_ann")) {
			t.Error("what waits can be read without the code")
		}
	}
	if _, ok := l.Take(strings.Repeat("0", 64)); ok {
		t.Error("another code is taken")
	}
	session, ok := l.Take(code)
	if !ok {
		t.Fatal("the code is not taken")
	}
	cookie, session, err := s.Begin(session)
	if err != nil || !session.Ends.Equal(c.t.Add(TokenLife)) {
		t.Fatalf("%+v, %v", session, err)
	}
	if who, _, err := s.Find(t.Context(), cookie); err != nil || who.Name != "ann" || who.Role != httpapi.Operator {
		t.Errorf("%+v, %v", who, err)
	}
	delete(known, "grt_ann")
	if _, _, err := s.Find(t.Context(), cookie); !errors.Is(err, ErrNone) {
		t.Errorf("the session outlives its token: %v", err)
	}
}

func TestLimit(t *testing.T) {
	c := &clock{time.Unix(0, 0)}
	l := NewLimit(c.now)
	eve, ann := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
	for i := range failures {
		if wait := l.Wait(eve); wait != 0 {
			t.Fatalf("after %d failures it waits %s", i, wait)
		}
		if last := l.Failed(eve); last != (i == failures-1) {
			t.Errorf("failure %d is the last: %t", i, last)
		}
	}
	neighbour := netip.MustParseAddr("2001:db8::2")
	if l.Wait(eve) == 0 || l.Wait(neighbour) == 0 || l.Wait(ann) != 0 {
		t.Errorf("eve waits %s, her neighbour %s, ann %s", l.Wait(eve), l.Wait(neighbour), l.Wait(ann))
	}
	c.t = c.t.Add(refill)
	if wait := l.Wait(eve); wait != 0 {
		t.Errorf("later she waits %s", wait)
	}
	for i := range 3 * maxAddrs {
		l.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(l.addrs) > maxAddrs {
		t.Errorf("%d addresses are kept", len(l.addrs))
	}
	if l.Wait(ann) == 0 {
		t.Error("many addresses together are not held back")
	}
}
