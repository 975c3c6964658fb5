package operatortest

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// startTimeout bounds the start of etcd and of the API server, each, on a
// machine that is busy.
const startTimeout = 2 * time.Minute

// quiet keeps controller-runtime from complaining of a missing logger. It takes
// one only once, and not from several goroutines.
var quiet = sync.OnceFunc(func() { log.SetLogger(logr.Discard()) })

// User is a person whom the API server knows by a token.
type User struct {
	Name   string
	Groups []string
}

// Cluster is an API server that runs until the end of the test that started
// it. Its methods may be called from several goroutines.
type Cluster struct {
	admin  *rest.Config
	tokens map[string]string // by user
}

// Start runs an API server until the test ends. It takes some seconds, so the
// subtests of one test share it, each in a namespace of its own (Namespace).
// The users may do nothing until a test gives them roles.
func Start(t testing.TB, users ...User) *Cluster {
	t.Helper()
	a := findAssets(t)
	quiet()
	c := &Cluster{tokens: map[string]string{}}
	env := &envtest.Environment{
		CRDDirectoryPaths: crdPaths(t, a), ErrorIfCRDPathMissing: true,
		ControlPlaneStartTimeout: startTimeout, ControlPlaneStopTimeout: startTimeout,
	}
	env.ControlPlane.Etcd = &envtest.Etcd{Path: a.Etcd}
	env.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	server := env.ControlPlane.GetAPIServer()
	server.Path = a.APIServer
	server.Configure().Set("token-auth-file", c.writeTokens(t, users)).Set("service-cluster-ip-range", "10.0.0.0/16") // room for large fleets
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	var err error
	if c.admin, err = env.Start(); err != nil {
		t.Fatalf("start an API server: %v", err)
	}
	return c
}

// writeTokens makes a token for each user and writes them as the API server
// reads them.
func (c *Cluster) writeTokens(t testing.TB, users []User) string {
	t.Helper()
	var text strings.Builder
	for _, u := range append(users, User{Name: "nobody"}) { // the API server refuses an empty file
		c.tokens[u.Name] = rand.Text()
		fmt.Fprintf(&text, "%s,%s,%s,%q\n", c.tokens[u.Name], u.Name, u.Name, strings.Join(u.Groups, ","))
	}
	path := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Admin is how to reach the API server with every right, by a client
// certificate.
func (c *Cluster) Admin() *rest.Config { return rest.CopyConfig(c.admin) }

// As is how to reach the API server as one of Start's users, by a token.
func (c *Cluster) As(t testing.TB, user string) *rest.Config {
	t.Helper()
	token, known := c.tokens[user]
	if !known {
		t.Fatalf("the cluster was started without a user %s", user)
	}
	return c.ByToken(token)
}

// ByToken is how to reach the API server with a token.
func (c *Cluster) ByToken(token string) *rest.Config {
	config := rest.AnonymousClientConfig(c.admin)
	config.BearerToken = token
	return config
}

// Namespace makes a namespace with a name of its own and returns its name. It
// stays until the cluster ends: nothing would empty it.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	made, err := c.clientset(t).CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	return made.Name
}

// ServiceAccountToken makes a service account, if need be, and returns a token
// of it that is good for an hour, for the given audiences or, without any, for
// the API server.
func (c *Cluster) ServiceAccountToken(t testing.TB, namespace, name string, audiences ...string) string {
	t.Helper()
	accounts := c.clientset(t).CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Get(t.Context(), name, metav1.GetOptions{}); err != nil {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := accounts.Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
			t.Fatalf("make a service account: %v", err)
		}
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	made, err := accounts.CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a token of %s/%s: %v", namespace, name, err)
	}
	return made.Status.Token
}

func (c *Cluster) clientset(t testing.TB) kubernetes.Interface {
	t.Helper()
	k, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
