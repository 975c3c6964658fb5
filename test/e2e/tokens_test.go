//go:build e2e

package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/apimachinery/pkg/types"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/passbook"
	"github.com/greenroom-dev/greenroom/internal/pass"
)

// issuer is somebody else who makes tokens, for the fleet's own users.
type issuer struct {
	name   string
	jwks   string
	signer jose.Signer
}

func newIssuer(t *testing.T, name string) issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k1", Algorithm: string(jose.EdDSA), Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return issuer{name, string(jwks), signer}
}

// token says who a user is, and more claims.
func (i issuer) token(t *testing.T, more map[string]any) string {
	t.Helper()
	token, err := jwt.Signed(i.signer).Claims(jwt.Claims{Issuer: i.name, Subject: "somebody", Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}).Claims(more).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// rule makes the pods of a label check the issuer's tokens.
func (i issuer) rule(namespace, key, value string) string {
	jwks, _ := json.Marshal(i.jwks) // a text can always be encoded
	return fmt.Sprintf(`{"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication",
		"metadata": {"name": "users", "namespace": %q},
		"spec": {"selector": {"matchLabels": {%q: %q}}, "jwtRules": [{"issuer": %q, "jwks": %s, "forwardOriginalToken": true}]}}`,
		namespace, key, value, i.name, jwks)
}

// userTokens has users bring tokens of their own beside a pass, by an issuer
// that sorts before greenroom's and by one that sorts behind it. Checked at the
// services, as greenroom wants it, both are what they are. At the gateway's pods
// no passes are made, and no token of theirs is taken for one.
func (st *story) userTokens(t *testing.T) {
	const v1, v2 = "api=v1 chat=v1 gift=v1", "api=v2 chat=v2 gift=v2"
	p := st.mint(t, "r42")
	for _, name := range []string{"accounts.example.com", "zitadel.example.com"} {
		i := newIssuer(t, name)
		with := func(token string, pass string) http.Header {
			h := http.Header{"Authorization": {"Bearer " + token}}
			if pass != "" {
				h.Set("Greenroom-Pass", pass)
			}
			return h
		}
		users := i.token(t, map[string]any{})
		claims := i.token(t, map[string]any{"greenroom_release": "r42", "greenroom_uid": st.uidOf(t, "r42")})

		st.apply(t, i.rule(st.fleet.Namespace, "app", "api"))
		st.answers(t, name+" at the services: a token that is not theirs", "/", with("rubbish", ""), "401")
		st.answers(t, name+" at the services: nobody's pass", "/", with(users, ""), v1)
		st.answers(t, name+" at the services: a pass beside a user's token", "/", with(users, p.Token), v2)
		st.answers(t, name+" at the services: a token that claims a release", "/", with(claims, ""), v1)
		if said := st.condition(t, st.fleet, "PassesBlocked"); said != "" {
			t.Errorf("rules at the services stand in the way of passes: %s", said)
		}

		st.apply(t, i.rule(st.fleet.Namespace, "istio", st.fleet.Namespace))
		st.awaitCondition(t, st.fleet, "PassesBlocked", true)
		_, err := st.by.MintPass(st.ctx, client.MintPass{Release: "r42", For: "1h"})
		if err == nil || !strings.Contains(err.Error(), "RequestAuthentication shop/users") {
			t.Errorf("with rules of %s: %v", name, err)
		}
		st.answers(t, name+" at the gateway: nobody's pass", "/", with(users, ""), v1)
		st.answers(t, name+" at the gateway: a token that claims a release", "/", with(claims, ""), "403")
		r, err := st.ask(st.fleet, "/", with(users, p.Token))
		t.Logf("%s at the gateway: a pass beside a user's token is answered %d %s %v", name, r.status, r.Answer, err)
		st.kubectl(t, "delete", "requestauthentication", "users", "-n", st.fleet.Namespace)
		st.awaitCondition(t, st.fleet, "PassesBlocked", false)
	}
	st.answers(t, "a pass afterwards", "/", held(p.Token), v2)
}

// uidOf is the uid of a Release.
func (st *story) uidOf(t *testing.T, name string) string {
	t.Helper()
	return st.kubectl(t, "get", "release.greenroom.dev", name, "-n", st.fleet.Namespace, "-o", "jsonpath={.metadata.uid}")
}

// keysOf are the keys of a Secret that somebody has got hold of.
type keysOf struct {
	*stage
	namespace, fleet string
}

func (k keysOf) String() string { return "a Secret that was read" }

// Load reads them.
func (k keysOf) Load(ctx context.Context) ([]byte, error) {
	var secret struct{ Data map[string][]byte }
	err := k.Get(ctx, "/api/v1/namespaces/"+k.namespace+"/secrets/greenroom."+k.fleet+".passes", &secret)
	return secret.Data["keys.json"], err
}

// Create and Replace fail: nothing is written here.
func (keysOf) Create(context.Context, []byte) error  { return errors.ErrUnsupported }
func (keysOf) Replace(context.Context, []byte) error { return errors.ErrUnsupported }

// signed makes a pass with the operator's own keys that it would not make.
func (st *story) signed(t *testing.T, c pass.Claims) string {
	t.Helper()
	fleet := types.NamespacedName{Namespace: st.fleet.Namespace, Name: "live"}
	keys, err := pass.Open(st.ctx, passbook.Issuer(fleet), keysOf{st.stage, fleet.Namespace, fleet.Name}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := keys.Mint(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// badPasses brings passes that open nothing.
func (st *story) badPasses(t *testing.T) {
	good := pass.Claims{ID: "by-hand", Release: "r42", UID: st.uidOf(t, "r42"), Subject: "test", IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	with := func(change func(*pass.Claims)) http.Header {
		c := good
		change(&c)
		return held(st.signed(t, c))
	}
	st.answers(t, "a pass that is signed as the operator does", "/", with(func(*pass.Claims) {}), "api=v2 chat=v2 gift=v2")
	st.answers(t, "an expired pass", "/", with(func(c *pass.Claims) {
		c.IssuedAt, c.ExpiresAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}), "401")
	st.answers(t, "a pass for a release that there is not", "/", with(func(c *pass.Claims) { c.Release, c.UID = "r99", "nobody" }), "403")
	st.answers(t, "a pass for a former release of that name", "/", with(func(c *pass.Claims) { c.UID = "nobody" }), "403")
	st.answers(t, "no pass at all", "/", held("rubbish"), "401")
	st.answers(t, "no pass at all, in the cookie", "/", http.Header{"Cookie": {"greenroom_pass=rubbish"}}, "401")

	taken := st.mint(t, "r42")
	st.answers(t, "a pass before it is revoked", "/", held(taken.Token), "api=v2 chat=v2 gift=v2")
	st.does(t, "", "pass", "revoke", taken.ID)
	st.answers(t, "a revoked pass", "/", held(taken.Token), "403")
}
