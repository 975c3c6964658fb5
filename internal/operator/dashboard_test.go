package operator_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// browser is somebody's, at the operator. It follows no redirects.
type browser struct {
	r *rig
	c *http.Client
}

func (r *rig) browser() *browser {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &browser{r, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// loggedIn is a browser with the session of a token.
func (r *rig) loggedIn(token string) *browser {
	r.t.Helper()
	b := r.browser()
	if resp, body := b.post(r.home()+"login", url.Values{"token": {token}}); resp.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("login: %s %s", resp.Status, body)
	}
	return b
}

// home is the path of the fleet's dashboard.
func (r *rig) home() string { return "/fleets/" + r.ns + "/live/" }

func (b *browser) get(path string) (*http.Response, string) {
	b.r.t.Helper()
	return b.do(http.MethodGet, path, nil)
}

func (b *browser) post(path string, form url.Values, header ...string) (*http.Response, string) {
	b.r.t.Helper()
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
}

func (b *browser) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	b.r.t.Helper()
	req, err := http.NewRequestWithContext(b.r.t.Context(), method, b.r.url+path, body)
	if err != nil {
		b.r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.r.t.Fatal(err)
	}
	return resp, string(text)
}

// shows fails unless a page is shown and has some texts and not others, which
// begin with a "-".
func (b *browser) shows(path string, texts ...string) {
	b.r.t.Helper()
	resp, body := b.get(path)
	if resp.StatusCode != http.StatusOK {
		b.r.t.Errorf("%s: %s to %s %s", path, resp.Status, resp.Header.Get("Location"), body)
		return
	}
	for _, text := range texts {
		if without, not := strings.CutPrefix(text, "-"); strings.Contains(body, without) == not {
			b.r.t.Errorf("%s: %q is there: %t", path, without, not)
		}
	}
}

func (b *browser) answers(method, path string, status int) {
	b.r.t.Helper()
	if resp, body := b.do(method, path, nil); resp.StatusCode != status {
		b.r.t.Errorf("%s %s: %s, want %d: %s", method, path, resp.Status, status, body)
	}
}

// ends waits until a page answers with a status, and for strangers leads to the
// login.
func (b *browser) ends(path string, status int) {
	b.r.t.Helper()
	b.r.until(fmt.Sprintf("%s answers %d", path, status), func() error {
		if resp, _ := b.get(path); resp.StatusCode != status {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// account makes a ServiceAccount with a role, and returns a token of it that is
// good for the operator alone.
func (r *rig) account(name, role string) string {
	r.t.Helper()
	token := r.cluster.ServiceAccountToken(r.t, r.ns, name, "greenroom-operator")
	r.create(&rbacv1.RoleBinding{
		ObjectMeta: r.meta("greenroom-" + name), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: r.ns, Name: name}},
	})
	r.until(name+" is "+role, func() error {
		c, err := api.Remote(r.url+"/fleets/"+r.ns+"/live", token, nil)
		if err == nil {
			_, err = c.Status(r.t.Context())
		}
		return err
	})
	return token
}

// TestDashboard is the dashboard that the operator serves, against a real API
// server: who gets in, what they see and may, and how it ends.
func TestDashboard(t *testing.T) {
	t.Parallel()
	cluster := operatortest.Start(t, operatortest.User{Name: "alice", Groups: []string{"system:masters"}}, operatortest.User{Name: "eve"})
	install(t, cluster)
	r := newRig(t, cluster, "api", "chat")
	r.fleet("api", "chat")
	r.serves("baseline")
	r.release("r42", "2", "api")
	r.phase("r42", "Previewing")
	r.until("r42 is shown as previewing", func() error {
		one, err := r.api.Release(t.Context(), "r42")
		if err == nil && one.Phase != "Previewing" {
			err = errors.New(one.Phase)
		}
		return err
	})
	viewer, oncall := r.account("viewer", "greenroom-viewer"), r.account("oncall", "greenroom-operator")

	run := func(name string, f func()) {
		t.Run(name, func(t *testing.T) {
			defer func(outer *testing.T) { r.t = outer }(r.t)
			r.t = t
			f()
		})
	}
	run("strangers are led to the login", func() { r.strangers() })
	run("who may look sees the release, and no button", func() { r.looks(viewer) })
	run("who may look at no fleet sees none", func() {
		b := r.loggedIn(cluster.As(r.t, "eve").BearerToken)
		b.shows("/fleets/", "no fleet here", "-"+r.ns)
		b.answers("GET", r.home(), http.StatusForbidden)
		b.answers("GET", r.home()+"passes/new", http.StatusForbidden)
		b.answers("GET", r.home()+"flow", http.StatusForbidden)
		if _, body := b.get(r.home() + "releases/r42"); strings.Contains(body, "r42") || strings.Contains(body, "baseline") {
			r.t.Errorf("who may not look is told: %s", body)
		}
		if got := b.stream(r.t.Context(), 1); got[0] != "over" {
			r.t.Errorf("the stream begins with %q", got)
		}
	})
	run("forms of other sites are refused", func() {
		b := r.loggedIn(oncall)
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}} {
			if resp, _ := b.post(r.home()+"releases/r42/promote", url.Values{"confirm": {"r42"}}, header...); resp.StatusCode != http.StatusForbidden {
				r.t.Errorf("%v: %s", header, resp.Status)
			}
		}
		r.serves("baseline")
	})
	run("who may promote does so in the page", func() {
		b := r.loggedIn(oncall)
		b.shows(r.home()+"releases/r42", `id="act-promote"`)
		r.until("r42 is promoted", func() error {
			if resp, body := b.post(r.home()+"releases/r42/promote", url.Values{"confirm": {"r42"}, "reason": {"gifts"}}); resp.StatusCode != http.StatusSeeOther {
				return fmt.Errorf("%s %s", resp.Status, body)
			}
			return nil
		})
		r.serves("r42")
		b.shows(r.home(), "Serving <b>r42</b>", `id="banner-rollback"`)
	})
	run("who may open does so in the page", func() { r.opens(viewer, oncall) })
	run("a link logs in whoever made it, once", func() { r.links() })
	run("a session ends with its token, and a right with its role", func() { r.revoked(viewer) })
	run("many wrong tokens are held back", func() {
		b := r.browser()
		last := 0
		for range 20 {
			resp, _ := b.post(r.home()+"login", url.Values{"token": {"forged"}})
			if last = resp.StatusCode; last != http.StatusUnauthorized {
				break
			}
		}
		if last != http.StatusTooManyRequests {
			r.t.Errorf("after twenty the answer is %d", last)
		}
	})
	r.logged("LoginFailed", "LoggedIn", "LoginLinkMade")
}

// opens opens r43 in the page, after what is wrong was refused there.
func (r *rig) opens(viewer, oncall string) {
	r.t.Helper()
	b := r.loggedIn(viewer)
	b.shows(r.home(), "-Open a release")
	b.answers("GET", r.home()+"open", http.StatusForbidden)
	if resp, _ := b.post(r.home()+"open", url.Values{"name": {"r43"}, "set.chat": {image("chat", "2")}}); resp.StatusCode != http.StatusForbidden {
		r.t.Errorf("a viewer opens: %s", resp.Status)
	}
	b = r.loggedIn(oncall)
	b.shows(r.home(), "Open a release")
	b.shows(r.home()+"open", `name="set.chat"`, "<code>", "sha256:", "apply: true", "-command line")
	document := func(name string) string {
		return "apiVersion: greenroom.dev/v1alpha1\nkind: Release\nmetadata: {name: " + name + "}\nspec:\n  rollbackWindow: 1h\n  services: [{name: chat, image: \"" + image("chat", "2") + "\", apply: true}]\n"
	}
	for _, one := range []struct {
		what string
		form url.Values
		want string
	}{
		{"no name", url.Values{"name": {"R 43"}, "set.chat": {image("chat", "2")}}, `id="o-name-wrong"`},
		{"a service that is not there", url.Values{"name": {"r43"}, "set.gone": {"x"}}, `id="o-set-gone-wrong"><li>fleet live has no service gone.`},
		{"a field that is none", url.Values{"document": {document("r43") + "  hokks: {}\n"}}, "hokks"},
		{"a window that is too long", url.Values{"document": {strings.Replace(document("r43"), "1h", "90d", 1)}}, "spec.rollbackWindow"},
		{"no YAML", url.Values{"document": {"kind: ["}}, "must hold one Release"},
		{"another fleet's", url.Values{"document": {strings.Replace(document("r43"), "spec:", "spec:\n  fleet: other", 1)}}, "spec.fleet"},
	} {
		resp, body := b.post(r.home()+"open", one.form, "Accept-Language", "en")
		if resp.StatusCode < 400 || resp.StatusCode >= 500 || !strings.Contains(body, one.want) {
			r.t.Errorf("%s: %s, without %s: %s", one.what, resp.Status, one.want, body)
		}
	}
	form := url.Values{"document": {document("r43")}, "reason": {"gifts"}, "check": {"1"}}
	if resp, body := b.post(r.home()+"open", form, "Accept-Language", "en"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "r43 would be opened") {
		r.t.Errorf("a look ahead: %s %s", resp.Status, body)
	}
	var none crd.Release
	if err := r.get(&none, "r43"); err == nil {
		r.t.Error("a look ahead makes a Release")
	}
	form = url.Values{"name": {"r43"}, "set.chat": {image("chat", "2")}, "reason": {"gifts"}}
	if resp, body := b.post(r.home()+"open", form, "Accept-Language", "en"); resp.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("%s %s", resp.Status, body)
	}
	r.phase("r43", "Previewing")
	r.image("chat", "2")
	r.until("it is known who opened r43, and why", func() error {
		events, err := r.api.Events(r.t.Context(), api.EventQuery{Release: "r43", Limit: 100})
		for _, e := range events {
			if e.Type == "ReleaseOpened" && e.Who == "system:serviceaccount:"+r.ns+":oncall" && e.Why == "gifts" {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("%+v", events))
	})
}

func (r *rig) strangers() {
	r.t.Helper()
	b := r.browser()
	for _, path := range []string{"/fleets/", r.home(), r.home() + "releases/r42", r.home() + "flow", r.home() + "events/export"} {
		resp, body := b.get(path)
		if resp.StatusCode != http.StatusSeeOther || !strings.Contains(resp.Header.Get("Location"), "/login") || strings.Contains(body, "r42</b>") {
			r.t.Errorf("%s: %s to %s", path, resp.Status, resp.Header.Get("Location"))
		}
	}
	b.shows(r.home()+"login", "kubectl create token", "Token of the cluster")
	payload := strings.Split(r.cluster.ServiceAccountToken(r.t, r.ns, "forger"), ".")
	for _, token := range []string{"forged", payload[0] + "." + payload[1] + ".AAAA", r.cluster.ServiceAccountToken(r.t, r.ns, "forger", "vault")} {
		if resp, _ := b.post(r.home()+"login", url.Values{"token": {token}}); resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) > 0 {
			r.t.Errorf("a token that is not good: %s %v", resp.Status, resp.Cookies())
		}
	}
}

func (r *rig) looks(token string) {
	r.t.Helper()
	b := r.browser()
	resp, _ := b.post(r.home()+"login", url.Values{"token": {token}, "to": {"/releases"}})
	if resp.Header.Get("Location") != r.home()+"releases" || len(resp.Cookies()) != 1 {
		r.t.Fatalf("login: %s to %s", resp.Status, resp.Header.Get("Location"))
	}
	if c := resp.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/fleets/" || strings.Contains(c.Value, token) {
		r.t.Errorf("%+v", c)
	}
	b.shows("/fleets/", `<a href="`+r.home()+`"><b>`+r.ns+`/live</b></a>`, "Serving <b>baseline</b>")
	b.shows(r.home(), "Serving <b>", "r42", "istio_requests_total", "-requests/s", "-NaN", "-p99")
	b.shows(r.home()+"releases/r42", "r42", "-act-promote", "-act-abort", `-class="chart"`, "istio_requests_total")
	b.shows(r.home()+"settings", "greenroom-viewer", "-API tokens")
	b.shows(r.home()+"hold", "-Requests wait", "Writes are turned away")
	b.answers("GET", r.home()+"settings/tokens/new", http.StatusNotFound)
	for _, act := range []string{"promote", "abort"} {
		if resp, _ := b.post(r.home()+"releases/r42/"+act, url.Values{"confirm": {"r42"}}, "HX-Request", "true"); resp.StatusCode != http.StatusForbidden {
			r.t.Errorf("%s: %s", act, resp.Status)
		}
	}
	c, err := api.Remote(r.url+"/fleets/"+r.ns+"/live", token, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = c.Promote(r.t.Context(), "r42", api.Promote{})
	ruled(r.t, err, "forbidden")
	if got := b.stream(r.t.Context(), 3); got[0] != "alive" || got[1] != "serving" {
		r.t.Errorf("the stream begins with %q", got)
	}
}

// stream reads the first events of the page's stream.
func (b *browser) stream(ctx context.Context, n int) []string {
	b.r.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.r.url+b.r.home()+"live?kind=fleet", nil)
	if err != nil {
		b.r.t.Fatal(err)
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out []string
	for lines := bufio.NewScanner(resp.Body); len(out) < n && lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			out = append(out, name)
		}
	}
	if len(out) < n {
		b.r.t.Fatalf("the stream ends after %q", out)
	}
	return out
}

func (r *rig) links() {
	r.t.Helper()
	token := r.account("tess", "greenroom-tester")
	c, err := api.Remote(r.url+"/fleets/"+r.ns+"/live", token, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, in := range []api.MakeLogin{{Role: "admin"}, {Name: "alice"}} {
		_, err := c.MakeLogin(r.t.Context(), in)
		ruled(r.t, err, "input")
	}
	link := r.link(token)
	path, code, _ := strings.Cut(link, "#")
	if path != r.home()+"login" || strings.Contains(link, token) || code == "" {
		r.t.Fatalf("the link is %s", link)
	}
	b := r.browser()
	if resp, body := b.post(path, url.Values{"code": {code}}); resp.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("%s %s", resp.Status, body)
	}
	b.shows(r.home()+"releases/r42", "system:serviceaccount:"+r.ns+":tess", "-act-settle")
	if resp, _ := r.browser().post(path, url.Values{"code": {code}}); resp.StatusCode != http.StatusUnauthorized {
		r.t.Errorf("again: %s", resp.Status)
	}
	if err := r.c.Delete(r.t.Context(), &corev1.ServiceAccount{ObjectMeta: r.meta("tess")}); err != nil {
		r.t.Fatal(err)
	}
	b.ends(r.home(), http.StatusSeeOther)
}

// link is one that logs a token's holder in.
func (r *rig) link(token string) string {
	r.t.Helper()
	c, err := api.Remote(r.url+"/fleets/"+r.ns+"/live", token, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	made, err := c.MakeLogin(r.t.Context(), api.MakeLogin{})
	if err != nil {
		r.t.Fatal(err)
	}
	return made.Link
}

func (r *rig) revoked(viewer string) {
	r.t.Helper()
	b := r.loggedIn(viewer)
	told := make(chan []string, 1)
	go func() { told <- b.until(r.t.Context(), "over") }()
	b.shows(r.home(), "Serving <b>")
	if err := r.c.Delete(r.t.Context(), &rbacv1.RoleBinding{ObjectMeta: r.meta("greenroom-viewer")}); err != nil {
		r.t.Fatal(err)
	}
	b.ends(r.home(), http.StatusForbidden)
	if got := <-told; got[len(got)-1] != "over" {
		r.t.Errorf("an open page is told %q", got)
	}
	b.shows("/fleets/", "no fleet here")
	if err := r.c.Delete(r.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "viewer"}}); err != nil {
		r.t.Fatal(err)
	}
	b.ends(r.home(), http.StatusSeeOther)
	b.ends("/fleets/", http.StatusSeeOther)
}

// until reads the page's stream until an event of a name, or its end.
func (b *browser) until(ctx context.Context, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	out := []string{"nothing"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.r.url+b.r.home()+"live?kind=fleet", nil)
	if err != nil {
		return []string{err.Error()}
	}
	resp, err := b.c.Do(req)
	if err != nil {
		return []string{err.Error()}
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); out[len(out)-1] != name && lines.Scan(); {
		if one, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			out = append(out, one)
		}
	}
	return out
}
