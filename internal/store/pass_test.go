package store

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testPass(id string, issued time.Time) Pass {
	return Pass{ID: id, Release: "r42", UID: "u1", Subject: "bob", By: "ada", Issued: issued, Expires: issued.Add(time.Hour)}
}

func passes(t *testing.T, s *Store) []Pass {
	t.Helper()
	all, err := s.Passes()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func logged(t *testing.T, s *Store) []string {
	t.Helper()
	log, err := s.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range log {
		types = append(types, e.Type)
	}
	return types
}

func TestPassesAreListedRevokedAndForgotten(t *testing.T) {
	s := openStore(t)
	young, old := testPass("a", noon.Add(time.Minute)), testPass("b", noon)
	for _, p := range []Pass{young, old} {
		if err := s.PutPass(p, event("r42", "pass-created")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutPass(old, event("r42", "pass-created")); !errors.Is(err, ErrExists) {
		t.Errorf("the same pass twice: %v; want ErrExists", err)
	}
	if err := s.RevokePass("nobody", noon, "ada", event("r42", "pass-revoked")); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown pass: %v; want ErrNotFound", err)
	}
	if err := s.RevokePass("b", noon.Add(time.Second), "eve", event("r42", "pass-revoked")); err != nil {
		t.Fatal(err)
	}
	if err := s.RevokePass("b", noon.Add(time.Hour), "ada", event("r42", "pass-revoked")); err != nil {
		t.Errorf("revoked again: %v", err)
	}
	used := noon.Add(5 * time.Minute)
	if err := s.UsePasses(map[string]time.Time{"a": used, "nobody": used}); err != nil {
		t.Fatal(err)
	}
	if err := s.UsePasses(map[string]time.Time{"a": noon}); err != nil {
		t.Fatal(err)
	}

	s = reopen(t, s)
	old.Revoked, old.RevokedBy = noon.Add(time.Second), "eve"
	young.LastUse = used
	if diff := cmp.Diff([]Pass{old, young}, passes(t, s)); diff != "" {
		t.Errorf("passes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pass-created", "pass-created", "pass-revoked"}, logged(t, s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	if err := s.PrunePasses(old.Expires); err != nil {
		t.Fatal(err)
	}
	if got := passes(t, s); len(got) != 2 {
		t.Errorf("%d passes after pruning before any expiry, want 2", len(got))
	}
	if err := s.PrunePasses(old.Expires.Add(1)); err != nil {
		t.Fatal(err)
	}
	if got := passes(t, s); len(got) != 1 || got[0].ID != "a" {
		t.Errorf("passes after pruning: %v, want a alone", got)
	}
}

func TestTokensAreFoundBySecretAndRevoked(t *testing.T) {
	s := openStore(t)
	secret, hash := NewSecret()
	if other, _ := NewSecret(); !strings.HasPrefix(secret, SecretPrefix) || len(secret) != len(SecretPrefix)+43 || other == secret {
		t.Errorf("secrets %s and %s", secret, other)
	}
	ci := Token{ID: "t1", Name: "ci", Role: "operator", Hash: hash, Created: noon, By: "ada"}
	if err := s.PutToken(ci, event("", "token-created")); err != nil {
		t.Fatal(err)
	}
	_, freeHash := NewSecret()
	for name, taken := range map[string]Token{
		"ID":   {ID: "t1", Name: "x", Hash: freeHash},
		"name": {ID: "t2", Name: "ci", Hash: freeHash},
		"hash": {ID: "t2", Name: "x", Hash: hash},
	} {
		if err := s.PutToken(taken, event("", "token-created")); !errors.Is(err, ErrExists) {
			t.Errorf("the same %s twice: %v; want ErrExists", name, err)
		}
	}
	if err := s.PutToken(Token{ID: "t2", Name: "a", Hash: freeHash}); err != nil {
		t.Fatal(err)
	}
	if err := s.UseTokens(map[string]time.Time{"t1": noon, "nobody": noon}); err != nil {
		t.Fatal(err)
	}
	if err := s.UseTokens(map[string]time.Time{"t1": noon.Add(-1)}); err != nil {
		t.Fatal(err)
	}

	s = reopen(t, s)
	ci.LastUse = noon
	got, ok, err := s.TokenBySecret(secret)
	if err != nil || !ok {
		t.Fatalf("not found by its secret: %v", err)
	}
	if diff := cmp.Diff(ci, got); diff != "" {
		t.Errorf("token (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{"", hash, secret + "x", secret[:len(secret)-1]} {
		if _, ok, err := s.TokenBySecret(wrong); ok || err != nil {
			t.Errorf("secret %q: %v, %v; want no token", wrong, ok, err)
		}
	}
	tokens, err := s.Tokens()
	if err != nil || len(tokens) != 2 || tokens[0].Name != "a" {
		t.Errorf("tokens %v (%v), want a and ci", tokens, err)
	}
	if content, err := os.ReadFile(s.path); err != nil || bytes.Contains(content, []byte(secret)) {
		t.Errorf("the secret stands in the file (%v)", err)
	}

	if err := s.RevokeToken("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown token: %v; want ErrNotFound", err)
	}
	if err := s.RevokeToken("ci", event("", "token-revoked")); err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeToken("t2"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.TokenBySecret(secret); ok || err != nil {
		t.Errorf("a revoked token is found: %v, %v", ok, err)
	}
	ci.ID = "t3"
	if err := s.PutToken(ci); err != nil {
		t.Errorf("a revoked token's name is not free: %v", err)
	}
	if diff := cmp.Diff([]string{"token-created", "token-revoked"}, logged(t, s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
