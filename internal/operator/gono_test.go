package operator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// as is a client of the fleet's API with somebody's credentials.
func (r *rig) as(addr, who string) *api.Client {
	r.t.Helper()
	c, err := api.Remote(addr+"/fleets/"+r.ns+"/live", r.cluster.As(r.t, who).BearerToken, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// bind gives somebody one of the roles that are installed, in the namespace.
func (r *rig) bind(who, role string) {
	r.create(&rbacv1.RoleBinding{
		ObjectMeta: r.meta(who + "-" + role), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: who}},
	})
}

func ruled(t *testing.T, err error, want string) {
	t.Helper()
	var p *api.Error
	if !errors.As(err, &p) || p.Rule != want && p.Code != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestGoNoGo is people's word on a release, on a real API server with the roles
// that are installed.
func TestGoNoGo(t *testing.T) {
	cluster := operatortest.Start(t, operatortest.User{Name: "alice", Groups: []string{"system:masters"}},
		operatortest.User{Name: "tina"}, operatortest.User{Name: "bob"})
	install(t, cluster)
	r := newRig(t, cluster, "api")
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	bodies := make(chan string, 1000)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		bodies <- string(body)
	}))
	t.Cleanup(hook.Close)
	r.create(&corev1.Secret{ObjectMeta: r.meta("ops"), StringData: map[string]string{"url": hook.URL + "/secret-path"}})
	r.bind("tina", "greenroom-tester")
	r.bind("bob", "greenroom-operator")
	r.fleet("api")
	r.serves("baseline")
	var f crd.Fleet
	r.until("the fleet has rules", func() error {
		if err := r.get(&f, "live"); err != nil {
			return err
		}
		f.Spec.Release = v1alpha1.ReleaseRules{
			Approvals: 1, Checklist: []v1alpha1.ChecklistItem{{Name: "smoke", Text: "log in"}},
			Freezes: []v1alpha1.Freeze{{Name: "always", From: "2020-01-01", To: "2100-01-01"}},
		}
		f.Spec.Notify = []crd.Notification{{Name: "ops", Kind: "webhook", Secret: "ops"}}
		return r.c.Update(ctx, &f)
	})
	r.release("r1", "2", "api")
	r.phase("r1", "Previewing")
	tina, bob := r.as(r.url, "tina"), r.as(r.url, "bob")

	_, err := tina.Promote(ctx, "r1", api.Promote{})
	ruled(t, err, "forbidden")
	_, err = tina.Approve(ctx, "r1", api.Approve{})
	ruled(t, err, "forbidden")
	_, err = r.api.Promote(ctx, "r1", api.Promote{})
	ruled(t, err, "checklist")
	if _, err := tina.SignOff(ctx, "r1", api.Say{Item: "smoke", Verdict: "go"}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Approve(ctx, "r1", api.Approve{}); err != nil {
		t.Fatal(err)
	}
	_, err = r.api.Promote(ctx, "r1", api.Promote{})
	ruled(t, err, "freeze")
	if _, err := tina.LockFleet(ctx, api.LockFleet{}); err == nil {
		t.Error("a tester locked the fleet")
	}

	// A Secret that is not labelled for it is not sent anywhere; then it is.
	r.until("the notification fails", func() error {
		s, err := r.api.Status(ctx)
		if err == nil && (len(s.Notifications) != 1 || !strings.Contains(s.Notifications[0].Failing, "needs the label greenroom.dev/notify=live")) {
			err = errors.New("it does not")
		}
		return err
	})
	var secret corev1.Secret
	if err := r.get(&secret, "ops"); err != nil {
		t.Fatal(err)
	}
	secret.Labels = map[string]string{"greenroom.dev/notify": "live"}
	if err := r.c.Update(ctx, &secret); err != nil {
		t.Fatal(err)
	}

	// Planned for a time in the freeze, in spite of it; then the operator is
	// away for a while.
	at := time.Now().Add(3 * time.Second)
	plan := api.Promote{At: at, OverrideFreezes: []string{"always"}}
	_, err = r.api.Promote(ctx, "r1", plan)
	ruled(t, err, "reason")
	plan.Reason = "agreed"
	if _, err := r.api.Promote(ctx, "r1", plan); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	r.serves("r1")
	r.phase("r1", "Live")
	events, err := r.api.Events(ctx, api.EventQuery{Kinds: []string{"ReleasePromoted"}, Who: "alice", Last: 10})
	if err != nil || len(events) != 1 || events[0].Why != "agreed" || !strings.Contains(events[0].Message, "in spite of the freeze always") {
		t.Errorf("promoted: %+v, %v", events, err)
	}
	for told := false; !told; {
		select {
		case body := <-bodies:
			told = strings.Contains(body, `"ReleasePromoted"`)
		case <-ctx.Done():
			t.Fatal("nobody was told")
		}
	}
	var places corev1.ConfigMap
	if err := r.get(&places, "greenroom.live.notify"); err != nil || strings.Contains(places.Data["places"], "secret") {
		t.Errorf("how far it has come: %v, %v", places.Data, err)
	}
}
