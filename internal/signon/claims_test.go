package signon

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestClaims(t *testing.T) {
	for _, c := range []struct {
		said, claim, name string
		groups            []string
	}{
		{`{"sub":"1","email":"a@x","preferred_username":"ann"}`, "", "a@x", nil},
		{`{"sub":"1","email":"a@x","email_verified":true}`, "", "a@x", nil},
		{`{"sub":"1","email":"a@x","email_verified":false,"preferred_username":"ann"}`, "", "ann", nil},
		{`{"sub":"1","email":"a@x","email_verified":"false"}`, "", "1", nil},
		{`{"sub":"1","email":"a@x","email_verified":false}`, "email", "", nil},
		{`{"sub":"1","upn":"ann@corp"}`, "upn", "ann@corp", nil},
		{`{"sub":"1"}`, "upn", "", nil},
		{`{"sub":"1","email":7}`, "", "1", nil},
		{`{"sub":"a\nb"}`, "", "", nil},
		{`{"sub":"` + strings.Repeat("a", 201) + `"}`, "", "", nil},
		{`{"sub":"1","groups":["a","b",3,""]}`, "", "1", []string{"a", "b"}},
		{`{"sub":"1","groups":"a"}`, "", "1", []string{"a"}},
		{`{"sub":"1","groups":{"a":1}}`, "", "1", nil},
		{`{"sub":"1","groups":null}`, "", "1", nil},
	} {
		said := claims{}
		if err := json.Unmarshal([]byte(c.said), &said); err != nil {
			t.Fatal(err)
		}
		name, err := said.name(c.claim)
		if name != c.name || (err == nil) != (c.name != "") {
			t.Errorf("%s: %q, %v", c.said, name, err)
		}
		if g := said.groups("groups"); !slices.Equal(g, c.groups) {
			t.Errorf("%s: groups %q", c.said, g)
		}
	}
}
