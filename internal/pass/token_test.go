package pass

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

var issue = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func testClaims() Claims {
	return Claims{
		ID: "p7k2", Release: "r42", UID: "5f0c1e", Subject: "ada",
		IssuedAt: issue, ExpiresAt: issue.Add(2 * time.Hour),
	}
}

func openKeys(t testing.TB) *Keys {
	t.Helper()
	k, err := OpenKeys(filepath.Join(t.TempDir(), "state", "pass.keys"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mint(t testing.TB, k *Keys, c Claims) string {
	t.Helper()
	token, err := k.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerifyReturnsWhatWasMinted(t *testing.T) {
	k := openKeys(t)
	want := testClaims()
	token := mint(t, k, want)
	for _, now := range []time.Time{issue, issue.Add(-Leeway), want.ExpiresAt.Add(-1)} {
		for range 2 { // the second time from the cache
			got, err := k.Verify(token, now)
			if err != nil {
				t.Fatalf("at %s: %v", now, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("at %s: claims (-want +got):\n%s", now, diff)
			}
		}
	}
}

func TestVerifyChecksTimesOfCachedTokens(t *testing.T) {
	k := openKeys(t)
	c := testClaims()
	token := mint(t, k, c)
	if _, err := k.Verify(token, issue); err != nil {
		t.Fatal(err)
	}
	got, err := k.Verify(token, c.ExpiresAt)
	if !errors.Is(err, ErrExpired) || !reflect.DeepEqual(got, c) {
		t.Errorf("at its end: %+v, %v; want its claims and ErrExpired", got, err)
	}
	if _, err := k.Verify(token, issue.Add(-Leeway-1)); !errors.Is(err, ErrForged) {
		t.Errorf("before its issue: %v; want ErrForged", err)
	}
}

func TestMintRefuses(t *testing.T) {
	k := openKeys(t)
	for name, change := range map[string]func(*Claims){
		"no ID":           func(c *Claims) { c.ID = "" },
		"no release":      func(c *Claims) { c.Release = "" },
		"no UID":          func(c *Claims) { c.UID = "" },
		"no subject":      func(c *Claims) { c.Subject = "" },
		"no issue":        func(c *Claims) { c.IssuedAt = time.Time{} },
		"no time":         func(c *Claims) { c.ExpiresAt = c.IssuedAt },
		"less than a sec": func(c *Claims) { c.ExpiresAt = c.IssuedAt.Add(time.Second - 1) },
		"too long":        func(c *Claims) { c.Subject = strings.Repeat("a", MaxToken) },
	} {
		c := testClaims()
		change(&c)
		if token, err := k.Mint(c); err == nil {
			t.Errorf("%s: minted %s", name, token)
		}
	}
}

// sign makes a token of any header and payload with the key that k signs with.
func sign(t *testing.T, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerifyRefusesForgeries(t *testing.T) {
	k := openKeys(t)
	own := k.ring.Load().keys[0].JSONWebKey
	stranger := openKeys(t).ring.Load().keys[0].JSONWebKey
	posing := stranger
	posing.KeyID = own.KeyID

	claims := map[string]any{
		"iss": "greenroom", "aud": "greenroom-preview", "jti": "p7k2", "sub": "ada",
		"greenroom_release": "r42", "greenroom_uid": "5f0c1e",
		"iat": issue.Unix(), "exp": issue.Add(time.Hour).Unix(),
	}
	if _, err := k.Verify(sign(t, own, claims), issue); err != nil {
		t.Fatalf("the claims that the cases change are refused themselves: %v", err)
	}
	with := func(name string, value any) map[string]any {
		c := maps.Clone(claims)
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	b64 := base64.RawURLEncoding.EncodeToString
	good := sign(t, own, claims)
	parts := strings.Split(good, ".")
	header := func(s string) string { return b64([]byte(s)) }
	other, _ := json.Marshal(with("greenroom_release", "r43"))

	hs256 := header(fmt.Sprintf(`{"alg":"HS256","kid":%q}`, own.KeyID)) + "." + parts[1]
	mac := hmac.New(sha256.New, k.ring.Load().public[own.KeyID])
	mac.Write([]byte(hs256))

	cases := map[string]string{
		"empty":                  "",
		"garbage":                "greenroom",
		"dots":                   "..",
		"bytes":                  "\x00\xff.\x00.\x00",
		"a line break":           parts[0] + "\n." + parts[1] + "." + parts[2],
		"no signature":           parts[0] + "." + parts[1] + ".",
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             good + "." + parts[2],
		"another payload":        parts[0] + "." + b64(other) + "." + parts[2],
		"alg none":               header(`{"alg":"none"}`) + "." + parts[1] + ".",
		"alg none, our key":      header(fmt.Sprintf(`{"alg":"none","kid":%q}`, own.KeyID)) + "." + parts[1] + "." + parts[2],
		"our public key as HMAC": hs256 + "." + b64(mac.Sum(nil)),
		"a stranger's key":       sign(t, stranger, claims),
		"posing as our key":      sign(t, posing, claims),
		"no key ID":              sign(t, jose.JSONWebKey{Key: own.Key}, claims),
		"JSON serialization":     fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]),
		"issuer":                 sign(t, own, with("iss", "somebody")),
		"no issuer":              sign(t, own, with("iss", nil)),
		"audience":               sign(t, own, with("aud", "greenroom-api")),
		"two audiences":          sign(t, own, with("aud", []string{"greenroom-preview", "else"})),
		"no audience":            sign(t, own, with("aud", nil)),
		"no expiry":              sign(t, own, with("exp", nil)),
		"expiry a string":        sign(t, own, with("exp", "tomorrow")),
		"no issue":               sign(t, own, with("iat", nil)),
		"no release":             sign(t, own, with("greenroom_release", nil)),
		"release a list":         sign(t, own, with("greenroom_release", []string{"r42"})),
		"no uid":                 sign(t, own, with("greenroom_uid", "")),
		"no ID":                  sign(t, own, with("jti", nil)),
		"too long":               sign(t, own, with("sub", strings.Repeat("a", MaxToken))),
		"far too long":           strings.Repeat("a", 1<<20),
	}
	for name, token := range cases {
		for range 2 {
			if c, err := k.Verify(token, issue); !errors.Is(err, ErrForged) || !reflect.DeepEqual(c, Claims{}) {
				t.Errorf("%s: %+v, %v; want ErrForged", name, c, err)
			}
		}
	}
	if n := len(k.cache.young); n != 1 {
		t.Errorf("%d tokens cached, want only the good one", n)
	}
}

func TestVerifyRefusesEveryChangedByte(t *testing.T) {
	k := openKeys(t)
	token := mint(t, k, testClaims())
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		if _, err := k.Verify(string(changed), issue); !errors.Is(err, ErrForged) {
			t.Fatalf("byte %d changed: %v; want ErrForged", i, err)
		}
	}
}

func TestCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	k := openKeys(t)
	used := mint(t, k, testClaims())
	for i := range 3 * generation {
		c := testClaims()
		c.ID = fmt.Sprint(i)
		if _, err := k.Verify(mint(t, k, c), issue); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Verify(used, issue); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.cache.young) + len(k.cache.old); n > 2*generation {
		t.Errorf("%d tokens cached, want at most %d", n, 2*generation)
	}
	if _, ok := k.cache.get(used); !ok {
		t.Error("a token used all the time is not cached")
	}
}

func TestVerifyWhileKeysChange(t *testing.T) {
	k := openKeys(t)
	token := mint(t, k, testClaims())
	first := k.ring.Load().keys[0].KeyID
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, err := k.Verify(token, issue); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		if err := k.Rotate(t.Context(), time.Time{}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := k.Drop(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(token, issue); !errors.Is(err, ErrForged) {
		t.Errorf("signed by a dropped key: %v; want ErrForged", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	k := openKeys(b)
	token := mint(b, k, testClaims())
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := k.Verify(token, issue); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.ring.Load().verify(token); err != nil {
				b.Error(err)
			}
		}
	})
}
