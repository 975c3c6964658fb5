package signon

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// What is kept of a person is bounded: a provider may send much.
const (
	maxGroups = 1000
	maxGroup  = 256 // bytes of a group's name
	maxName   = 200 // bytes of a person's name
)

// claims are what a provider says of a person.
type claims map[string]json.RawMessage

// text is a claim that is a text; "" where there is none.
func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// name is what a person is called in events. An address that the provider calls
// unverified is nobody's name: people could give themselves that of another.
func (c claims) name(claim string) (string, error) {
	order := []string{"email", "preferred_username", "sub"}
	if claim != "" {
		order = []string{claim}
	}
	for _, one := range order {
		if one == "email" && c.unverified() {
			continue
		}
		name := strings.TrimSpace(c.text(one))
		if name == "" {
			continue
		}
		if len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return "", fmt.Errorf("the claim %s is no name", one)
		}
		return name, nil
	}
	if claim != "" {
		return "", fmt.Errorf("the claim %s, which is to be the name, is not there or not to be trusted", claim)
	}
	return "", errors.New("no claim says who it is")
}

// unverified reports whether the provider says that the address may be somebody
// else's. Some say it as a text.
func (c claims) unverified() bool {
	said := strings.Trim(string(c["email_verified"]), `"`)
	return said == "false"
}

// groups are those of a claim that is a list of texts, or one text.
func (c claims) groups(claim string) []string {
	var list []any
	if json.Unmarshal(c[claim], &list) != nil {
		list = []any{c.text(claim)}
	}
	out := []string{}
	for _, one := range list {
		if g, ok := one.(string); ok && g != "" && len(g) <= maxGroup && len(out) < maxGroups {
			out = append(out, g)
		}
	}
	return out
}

// lacks reports whether a claim that is wanted is not there.
func (c claims) lacks(s *Settings) bool {
	if _, ok := c[s.GroupsClaim]; !ok {
		return true
	}
	name := s.UsernameClaim
	if name == "" {
		name = "email"
	}
	_, ok := c[name]
	return !ok
}

// fill takes from others what is not there.
func (c claims) fill(others claims) {
	for name, value := range others {
		if _, ok := c[name]; !ok {
			c[name] = value
		}
	}
}
