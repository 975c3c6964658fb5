package kubernetes

import (
	"fmt"
	"net/url"
	"time"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/internal/calendar"
)

// rules checks what every release needs before it goes live.
func (c *checker) rules(at string, r v1alpha1.ReleaseRules) {
	for _, f := range r.Freezes {
		if _, err := calendar.Rules(v1alpha1.ReleaseRules{Freezes: []v1alpha1.Freeze{f}}); err != nil {
			c.say(at+".freezes", err.Error()+".", "Write zone: Europe/Berlin, from: 2026-12-20 18:00 and to:, or weekly: {from: Fri 16:00, to: Mon 08:00}.")
		}
	}
}

func (c *checker) notifications(at string, list []crd.Notification) {
	for i, n := range list {
		where := fmt.Sprintf("%s[%d]", at, i)
		c.duration(where+".timeout", n.Timeout, time.Second, time.Minute)
		if n.URL == "" && n.Secret == "" {
			c.say(where, "this does not say where to.", "Write url, or a secret that has it.")
		}
		if u, err := url.Parse(n.URL); n.URL != "" && (err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
			c.say(where+".url", "this is not an address that everybody may read.", "Write http:// or https:// and a host; keep passwords in the Secret.")
		}
		if n.Kind == "grafana" && n.Secret == "" {
			c.say(where+".secret", "a Grafana needs a token.", "Name a Secret whose key secret is the token.")
		}
	}
}
