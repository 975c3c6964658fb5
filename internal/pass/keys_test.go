package pass

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestKeysAreMadeOnceAndForTheOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "pass.keys")
	var tokens [8]string
	var wg sync.WaitGroup
	for i := range tokens { // started several times at once, all get one key
		wg.Go(func() {
			k, err := OpenKeys(path)
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = mint(t, k, testClaims())
		})
	}
	wg.Wait()
	k, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range tokens {
		if _, err := k.Verify(token, issue); err != nil {
			t.Errorf("token %d: %v", i, err)
		}
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the file there is %v (%v)", left, err)
	}
}

func TestRotateKeepsFormerKeys(t *testing.T) {
	k := openKeys(t)
	former := mint(t, k, testClaims())
	formerID := k.ring.Load().keys[0].KeyID
	if err := k.Drop(t.Context(), formerID); err == nil {
		t.Error("the signing key was dropped")
	}
	if err := k.Rotate(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	next := mint(t, k, testClaims())
	again, err := OpenKeys(k.store.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range []*Keys{k, again} {
		for _, token := range []string{former, next} {
			if _, err := keys.Verify(token, issue); err != nil {
				t.Error(err)
			}
		}
	}
	if got := len(again.Public().Keys); got != 2 {
		t.Errorf("%d keys after a rotation, want 2", got)
	}
	if err := again.Drop(t.Context(), "nobody"); err == nil {
		t.Error("an unknown key was dropped")
	}
	if err := again.Drop(t.Context(), formerID); err != nil {
		t.Fatal(err)
	}
	last, err := OpenKeys(k.store.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := last.Verify(former, issue); err == nil {
		t.Error("a dropped key still verifies after a restart")
	}
	if _, err := last.Verify(next, issue); err != nil {
		t.Error(err)
	}
}

func TestPublicHoldsNoSecret(t *testing.T) {
	k := openKeys(t)
	b, err := json.Marshal(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 1 || set.Keys[0]["kty"] != "OKP" || set.Keys[0]["d"] != nil {
		t.Errorf("published %s", b)
	}
	var parsed jose.JSONWebKeySet
	if err := json.Unmarshal(b, &parsed); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(mint(t, k, testClaims()), []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signed.Verify(parsed); err != nil {
		t.Errorf("the published set does not verify a pass: %v", err)
	}
}

func TestOpenKeysRefusesAndLeavesTheFile(t *testing.T) {
	k := openKeys(t)
	good, err := os.ReadFile(k.store.String())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(good, &set); err != nil {
		t.Fatal(err)
	}
	other, err := newKey(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	marshal := func(keys ...jose.JSONWebKey) []byte {
		b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	renamed := set.Keys[0]
	renamed.KeyID = other.KeyID
	otherX, _ := other.Public().MarshalJSON()
	ownX, _ := set.Keys[0].Public().MarshalJSON()
	x := func(b []byte) []byte {
		var key map[string]string
		if err := json.Unmarshal(b, &key); err != nil {
			t.Fatal(err)
		}
		return []byte(key["x"])
	}

	cases := map[string]struct {
		content []byte
		mode    os.FileMode
		says    string
	}{
		"read by others":    {good, 0o644, "chmod 600"},
		"read by the group": {good, 0o640, "chmod 600"},
		"empty":             {nil, 0o600, "damaged"},
		"cut":               {good[:len(good)/2], 0o600, "damaged"},
		"garbage":           {[]byte("greenroom"), 0o600, "damaged"},
		"no keys":           {[]byte(`{"keys":[]}`), 0o600, "damaged"},
		"public keys":       {marshal(set.Keys[0].Public()), 0o600, "damaged"},
		"a symmetric key":   {marshal(jose.JSONWebKey{Key: []byte("secret"), KeyID: "a"}), 0o600, "damaged"},
		"a key twice":       {marshal(set.Keys[0], set.Keys[0]), 0o600, "damaged"},
		"another's name":    {marshal(renamed), 0o600, "damaged"},
		"another's half":    {bytes.Replace(good, x(ownX), x(otherX), 1), 0o600, "damaged"},
		"huge":              {bytes.Repeat([]byte(" "), maxKeyFile+1), 0o600, "damaged"},
	}
	for name, c := range cases {
		path := filepath.Join(t.TempDir(), "pass.keys")
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenKeys(path)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want an error with %q and the path", name, err, c.says)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.content) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := OpenKeys(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := OpenKeys(filepath.Join(k.store.String(), "below")); err == nil {
		t.Error("below a file: no error")
	}
}
