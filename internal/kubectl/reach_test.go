package kubectl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
	"github.com/greenroom-dev/greenroom/internal/operator/access"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
	"github.com/greenroom-dev/greenroom/internal/release"
)

const operatorNamespace = "greenroom-system"

// operations answers for a fleet; what it is not asked for in this test is nil.
type operations struct {
	httpapi.Operations
	mu   sync.Mutex
	done []string
}

func (o *operations) Status(context.Context) (client.Status, error) {
	return client.Status{
		Fleet: "live", EdgeURL: "https://live.example.com", Now: time.Now(), Serving: client.Serving{Release: "r41", Stamp: "r41"},
		Releases: []client.Release{{Name: "r42", Phase: "Previewing", Generation: 1}},
	}, nil
}

func (o *operations) Changed() <-chan struct{} { return nil }

// Release knows of r43 that it is not open yet, and of nothing else.
func (o *operations) Release(_ context.Context, name string) (client.Release, error) {
	if name == "r43" {
		return client.Release{}, &release.Refused{Rule: "NoPreview", Reason: "Release r43 is not open yet: it has no preview"}
	}
	return client.Release{}, fmt.Errorf("%w: %s", release.ErrUnknown, name)
}

func (o *operations) Promote(_ context.Context, who, name string, _ client.Promote) (client.Changed, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = append(o.done, who+" promotes "+name)
	return client.Changed{Changed: true, Message: name + " is live", Serving: client.Serving{Release: name, Until: time.Now().Add(time.Hour)}}, nil
}

func (o *operations) MakeLogin(ctx context.Context, who string, _ client.MakeLogin) (client.MadeLogin, error) {
	if token, ok := httpapi.Bearer(ctx); !ok || token == "" {
		return client.MadeLogin{}, errors.New("there is no token")
	}
	return client.MadeLogin{Name: who, Link: "/fleets/shop/live/login#code"}, nil
}

func (o *operations) changes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.done)
}

// place is a cluster with an operator and people.
type place struct {
	t       *testing.T
	cluster *operatortest.Cluster
	admin   kubernetes.Interface
	objects kube.WithWatch
	kubelet *kubelet
	api     *operations
	shop    string // namespace of the fleet
	folder  string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	c := operatortest.Start(t, operatortest.User{Name: "ann", Groups: []string{"system:masters"}}, operatortest.User{Name: "eve"})
	k, err := kubernetes.NewForConfig(c.Admin())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := cluster{config: c.Admin()}.client()
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, cluster: c, admin: k, objects: objects, kubelet: startKubelet(t, k), api: &operations{}, shop: c.Namespace(t), folder: t.TempDir()}
	p.make(namespaceObject(operatorNamespace))
	reviews := access.New(k.AuthenticationV1().TokenReviews(), k.AuthorizationV1().SubjectAccessReviews(), time.Now)
	mux := http.NewServeMux()
	prefix := "/fleets/" + p.shop + "/live"
	mux.Handle(prefix+"/", http.StripPrefix(prefix, httpapi.New(httpapi.Options{
		Operations: p.api, Access: reviews.For(p.shop), Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.kubelet.run(k, operatorNamespace, "operator-1", strings.TrimPrefix(server.URL, "http://"))
	p.kubelet.run(k, operatorNamespace, "operator-deaf", "127.0.0.1:1")
	return p
}

func (p *place) make(o kube.Object) {
	p.t.Helper()
	if err := p.objects.Create(p.t.Context(), o); err != nil {
		p.t.Fatal(err)
	}
}

// lead makes a pod the leader, as of some time ago.
func (p *place) lead(identity string, ago time.Duration) {
	p.t.Helper()
	leases := p.admin.CoordinationV1().Leases(operatorNamespace)
	if err := leases.Delete(p.t.Context(), leaseName, metav1.DeleteOptions{}); err != nil && !strings.Contains(err.Error(), "not found") {
		p.t.Fatal(err)
	}
	seconds, seen := int32(15), metav1.NewMicroTime(time.Now().Add(-ago))
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: leaseName},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &identity, LeaseDurationSeconds: &seconds, RenewTime: &seen}}
	if _, err := leases.Create(p.t.Context(), lease, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// grant lets a user do something in the operator's namespace, and waits until
// the API server knows.
func (p *place) grant(user string, rule rbacv1.PolicyRule) {
	p.t.Helper()
	where := metav1.ObjectMeta{Namespace: operatorNamespace, Name: user}
	p.make(&rbacv1.Role{ObjectMeta: where, Rules: []rbacv1.PolicyRule{rule}})
	p.make(&rbacv1.RoleBinding{ObjectMeta: where, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}})
	ask := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: operatorNamespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0]}}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(time.Minute); ; {
		done, err := p.admin.AuthorizationV1().SubjectAccessReviews().Create(p.t.Context(), ask, metav1.CreateOptions{})
		if err != nil {
			p.t.Fatal(err)
		}
		if done.Status.Allowed {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			p.t.Fatalf("the API server does not know yet what %s may do", user)
		}
	}
}

func someFleet(namespace, name string) *crd.Fleet {
	return &crd.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: crd.FleetSpec{
			Edge:     crd.Edge{Gateways: []crd.Gateway{{Name: "istio-ingress/public", Hosts: []string{"live.example.com"}, Selector: map[string]string{"istio": "ingress"}}}},
			Services: []crd.Service{{Name: "api", Drain: v1alpha1.Duration("30s")}},
		},
	}
}

// kubeconfig writes a user's kubeconfig and returns its path.
func (p *place) kubeconfig(name string, config *rest.Config) string {
	p.t.Helper()
	user := clientcmdapi.AuthInfo{Token: config.BearerToken, ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	out := clientcmdapi.Config{
		CurrentContext: "c",
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: serverOf(config), CertificateAuthorityData: config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": &user},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u", Namespace: p.shop}},
	}
	path := filepath.Join(p.folder, name)
	if err := clientcmd.WriteToFile(out, path); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func serverOf(c *rest.Config) string {
	if strings.Contains(c.Host, "://") {
		return c.Host
	}
	return "https://" + c.Host
}

// result is how a command ended.
type result struct {
	code        int
	out, errors string
}

func run(kubeconfig string, args ...string) result {
	var out, errs bytes.Buffer
	code := Main(command.Env{
		Args: append([]string{"--kubeconfig", kubeconfig}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Width: func() int { return 80 }, Getenv: os.Getenv, Version: "test",
	})
	return result{code, out.String(), errs.String()}
}

// TestReach goes the whole way: kubeconfig, API server, kubelet, the operator's
// API, and back to the API server for who may do what.
func TestReach(t *testing.T) {
	p := newPlace(t)
	ann, eve, certificate := p.kubeconfig("ann", p.cluster.As(t, "ann")), p.kubeconfig("eve", p.cluster.As(t, "eve")), p.kubeconfig("certificate", p.cluster.Admin())
	expect := func(what string, got result, code int, says ...string) {
		t.Helper()
		for _, s := range says {
			if !strings.Contains(got.out+got.errors, s) {
				t.Errorf("%s said %q, want %q", what, got.out+got.errors, s)
			}
		}
		if got.code != code {
			t.Errorf("%s ended with %d, want %d: %s%s", what, got.code, code, got.out, got.errors)
		}
	}
	expect("without a Fleet", run(ann, "status"), command.BadInput, "there is no Fleet in the namespace "+p.shop)
	p.make(someFleet(p.shop, "live"))
	expect("without an operator", run(ann, "status"), command.Unreachable, "no operator has run in the namespace greenroom-system", "install it: kubectl apply -k")
	p.lead("", 0)
	expect("without a leader", run(ann, "status"), command.Unreachable, "no operator leads")

	p.lead("operator-1_5f9d", 0)
	expect("status", run(ann, "status"), command.Done, "Serving r41")
	if seen := p.kubelet.connections(); !slices.Contains(seen, "operator-1:9090") {
		t.Errorf("connections went to %v", seen)
	}
	expect("promote", run(ann, "promote", "--yes"), command.Done, "r42 is live.", "kubectl greenroom rollback")
	if done := p.api.changes(); !slices.Equal(done, []string{"ann promotes r42"}) {
		t.Errorf("done: %v", done)
	}
	expect("a release that is not open yet", run(ann, "promote", "r43", "--yes"), command.Refused, "Release r43 is not open yet: it has no preview")
	expect("a release that is not", run(ann, "promote", "r44", "--yes"), command.BadInput, "there is no release r44; kubectl greenroom release list")
	expect("the only release that can be", run(ann, "rollback", "--yes"), command.Refused, "kubectl greenroom release list")

	p.showsDashboard(ann, certificate)
	expect("a dashboard behind an ingress", run(ann, "dashboard", "--url", "https://greenroom.example.com/"), command.Done, "https://greenroom.example.com/fleets/shop/live/login#code")
	expect("a certificate at the dashboard", run(certificate, "dashboard"), command.BadInput, "--service-account NAME", "--paste", "kubectl create token NAME --audience greenroom-operator")

	expect("another cluster", run(filepath.Join(p.folder, "nowhere"), "status"), command.BadInput, "read the kubeconfig")
	expect("somebody without rights", run(eve, "status"), command.Refused, `User "eve" cannot list resource "fleets"`)
	expect("who may not see who leads", run(eve, "status", "--fleet", "live"), command.Unreachable, "greenroom-connect in the namespace greenroom-system")

	p.grant("eve", rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}})
	expect("who may not forward ports", run(eve, "status", "--fleet", "live"), command.Unreachable, "you may not forward a port to the operator's pod operator-1")

	expect("a certificate", run(certificate, "status"), command.BadInput, "no bearer token", "--service-account NAME")
	p.cluster.ServiceAccountToken(t, p.shop, "robot")
	expect("an account without rights", run(certificate, "status", "--service-account", "robot"), command.Refused,
		fmt.Sprintf("system:serviceaccount:%s:robot may not get releases.greenroom.dev", p.shop))
	expect("no such account", run(certificate, "status", "--service-account", "nobody"), command.BadInput, `serviceaccounts "nobody" not found`)

	p.make(someFleet(p.shop, "other"))
	expect("two Fleets", run(ann, "status"), command.BadInput, "several Fleets: live, other; name one with --fleet")
	expect("one of two Fleets", run(ann, "status", "--fleet", "live"), command.Done, "Serving r41")

	p.lead("operator-deaf", 0)
	expect("a pod that does not listen", run(ann, "status", "--fleet", "live"), command.Unreachable, "nobody listens at port 9090 of operator-deaf")
	p.lead("operator-gone", 0)
	expect("a pod that is gone", run(ann, "status", "--fleet", "live"), command.Unreachable, "the pod operator-gone, which led last, is gone")
	p.lead("operator-gone", time.Hour)
	expect("an operator that ended", run(ann, "status", "--fleet", "live"), command.Unreachable, "the operator does not run: operator-gone led last", "kubectl greenroom rollback --break-glass")
	expect("token", run(ann, "token"), command.BadInput, "there are no API tokens on Kubernetes")
}

// showsDashboard holds the command to a port that leads to the operator until it
// is interrupted, and to a link by what the caller has.
func (p *place) showsDashboard(token, certificate string) {
	p.t.Helper()
	for _, one := range []struct {
		args []string
		link string
	}{
		{[]string{"--kubeconfig", token, "dashboard"}, "/fleets/shop/live/login#code"},
		{[]string{"--kubeconfig", certificate, "dashboard", "--paste"}, "/fleets/" + p.shop + "/live/login"},
	} {
		ctx, cancel := context.WithCancel(p.t.Context())
		defer cancel()
		read, write := io.Pipe()
		a := newApp(&command.Env{Stdin: strings.NewReader(""), Stdout: write, Stderr: io.Discard, Width: func() int { return 80 }, Getenv: os.Getenv, Version: "test"})
		root := a.root()
		root.SetArgs(one.args)
		ended := make(chan error, 1)
		go func() {
			err := root.ExecuteContext(ctx)
			_ = write.CloseWithError(io.EOF)
			ended <- err
		}()
		line, err := bufio.NewReader(read).ReadString('\n')
		if err != nil {
			p.t.Fatalf("%v: %v, %v", one.args, err, <-ended)
		}
		link, err := url.Parse(strings.TrimSpace(line))
		if err != nil || !strings.HasSuffix(link.String(), one.link) || link.Hostname() != "127.0.0.1" {
			p.t.Fatalf("%v prints %q (%v)", one.args, line, err)
		}
		// Two on one connection, and a third on another one.
		c := &http.Client{Transport: &http.Transport{}}
		for i := range 3 {
			resp, err := c.Get("http://" + link.Host + "/fleets/" + p.shop + "/live/healthz")
			if err != nil {
				p.t.Fatalf("%v: %v", one.args, err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(body) != "ok\n" {
				p.t.Errorf("%v leads to %s %q, %v", one.args, resp.Status, body, err)
			}
			if i == 1 {
				c.CloseIdleConnections()
			}
		}
		cancel() // with a connection open
		if err := <-ended; err != nil {
			p.t.Errorf("%v ends with %v", one.args, err)
		}
		if conn, err := net.Dial("tcp", link.Host); err == nil {
			_ = conn.Close()
			p.t.Errorf("%v is over, and its port open", one.args)
		}
	}
}
