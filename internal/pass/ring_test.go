package pass

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signedBy returns the ID of the key that signed a token.
func signedBy(t *testing.T, token string) string {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header.KeyID
}

func TestANewKeySignsWhenItsTimeHasCome(t *testing.T) {
	path := t.TempDir() + "/keys"
	k, err := Open(t.Context(), "greenroom/shop/live", keyFile(path), issue)
	if err != nil {
		t.Fatal(err)
	}
	first := k.Public().Keys[0].KeyID
	if err := k.Rotate(t.Context(), issue.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	second := k.Public().Keys[0].KeyID
	if second == first || len(k.Public().Keys) != 2 {
		t.Fatalf("after the rotation the set is %v", k.Public().Keys)
	}
	again, err := Open(t.Context(), "greenroom/shop/live", keyFile(path), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range []*Keys{k, again} { // its time outlives a restart
		for at, want := range map[time.Duration]string{
			-time.Hour:       first, // before anything was to sign, the oldest does
			time.Minute - 1:  first,
			time.Minute:      second,
			30 * time.Minute: second,
		} {
			c := testClaims()
			c.IssuedAt = issue.Add(at)
			c.ExpiresAt = c.IssuedAt.Add(time.Hour)
			if got := signedBy(t, mint(t, keys, c)); got != want {
				t.Errorf("a pass issued %s after the first key is signed by %s, want %s", at, got, want)
			}
		}
	}
	if !k.Newest().Equal(issue.Add(time.Minute)) {
		t.Errorf("the newest key signs from %s", k.Newest())
	}
}

func TestRetireKeepsKeysWhosePassesMayHold(t *testing.T) {
	k, err := Open(t.Context(), Issuer, keyFile(t.TempDir()+"/keys"), issue)
	if err != nil {
		t.Fatal(err)
	}
	turn := issue.Add(time.Minute)
	if err := k.Rotate(t.Context(), turn); err != nil {
		t.Fatal(err)
	}
	last := testClaims() // the longest that the first key can sign
	last.IssuedAt = turn.Add(-time.Second)
	last.ExpiresAt = last.IssuedAt.Add(Longest)
	token := mint(t, k, last)
	if retired, err := k.Retire(t.Context(), last.ExpiresAt); err != nil || retired {
		t.Errorf("a key is retired while its pass holds: %t, %v", retired, err)
	}
	if _, err := k.Verify(token, last.ExpiresAt.Add(-1)); err != nil {
		t.Error(err)
	}
	if retired, err := k.Retire(t.Context(), turn.Add(Longest+Leeway+1)); err != nil || !retired {
		t.Errorf("an old key stays for ever: %t, %v", retired, err)
	}
	if got := len(k.Public().Keys); got != 1 {
		t.Errorf("%d keys are left, want 1", got)
	}
}

func TestKeysOfUnknownAgeAreNotRetired(t *testing.T) {
	k := openKeys(t)
	if err := k.Rotate(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if retired, err := k.Retire(t.Context(), issue.Add(10*Longest)); err != nil || retired {
		t.Errorf("retired %t, %v", retired, err)
	}
}

func TestPassesOfAnotherIssuerAreForged(t *testing.T) {
	path := t.TempDir() + "/keys"
	ours, err := Open(t.Context(), "greenroom/shop/live", keyFile(path), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Open(t.Context(), "greenroom/shop/other", keyFile(path), time.Time{}) // even with the same keys
	if err != nil {
		t.Fatal(err)
	}
	token := mint(t, ours, testClaims())
	if _, err := ours.Verify(token, issue); err != nil {
		t.Error(err)
	}
	if claims, err := theirs.Verify(token, issue); err == nil {
		t.Errorf("taken as %+v", claims)
	}
}

func TestReloadTakesInWhatAnotherWrote(t *testing.T) {
	k := openKeys(t)
	other, err := OpenKeys(k.store.String())
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(t.Context()); err != nil || changed {
		t.Errorf("nothing was written: %t, %v", changed, err)
	}
	if err := other.Rotate(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Reload(t.Context()); err != nil || !changed {
		t.Errorf("a key was added: %t, %v", changed, err)
	}
	if _, err := k.Verify(mint(t, other, testClaims()), issue); err != nil {
		t.Error(err)
	}
}

func TestLife(t *testing.T) {
	for asked, want := range map[string]time.Duration{"": Usual, "1m": Shortest, "720h": Longest, "90m": 90 * time.Minute} {
		if got, ok := Life(asked); !ok || got != want {
			t.Errorf("%q: %s, %t; want %s", asked, got, ok, want)
		}
	}
	for _, asked := range []string{"59s", "720h1s", "2", "-2h", "soon"} {
		if got, ok := Life(asked); ok {
			t.Errorf("%q holds for %s", asked, got)
		}
	}
}
