package kubectl

import (
	"context"
	"errors"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/greenroom-dev/greenroom/internal/command"
)

// audience is whom a service account's token is made for: it is good at the
// operator and nowhere else. The operator knows it by the same name.
const audience = "greenroom-operator"

// tokenSeconds is how long such a token is good.
const tokenSeconds = 3600

// errNoToken is returned for a kubeconfig whose user has no bearer token, which
// is what the operator knows people by.
var errNoToken = errors.New("your kubeconfig's user has no bearer token (a client certificate proves who you are to the API server alone); " +
	"name a ServiceAccount of the fleet's namespace that you may make tokens for: --service-account NAME")

// credentialsOf puts the caller's bearer token on each request: the
// kubeconfig's own, however it comes by it (exec plugins, files), or one of a
// service account.
//
// The operator can use a kubeconfig's token in its owner's name, as can
// whatever it is shown to: that is what showing it means. A service account's
// token is made for the operator alone.
func credentialsOf(ctx context.Context, c cluster, k kubernetes.Interface, account string, transport http.RoundTripper) (http.RoundTripper, error) {
	if account == "" {
		if c.config.Impersonate.UserName != "" {
			return nil, command.BadInputf("the kubeconfig says to act as %s, which the operator cannot check; name a ServiceAccount instead: --service-account NAME", c.config.Impersonate.UserName)
		}
		out, err := rest.HTTPWrappersForConfig(c.config, bearerOnly{transport})
		if err != nil {
			return nil, command.BadInputf("take the credentials out of the kubeconfig: %w", err)
		}
		return out, tryCredentials(ctx, c.config)
	}
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds}}
	made, err := k.CoreV1().ServiceAccounts(c.namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return nil, clusterError(err, "ask for a token of the ServiceAccount "+c.namespace+"/"+account)
	}
	return accountToken{made.Status.Token, transport}, nil
}

// tryCredentials looks whether a kubeconfig comes by a token, without sending it
// anywhere, so that its errors are told as what they are.
func tryCredentials(ctx context.Context, config *rest.Config) error {
	try, err := rest.HTTPWrappersForConfig(config, bearerOnly{nowhere{}})
	if err != nil {
		return command.BadInputf("take the credentials out of the kubeconfig: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://greenroom-operator/", nil)
	if err != nil {
		return err
	}
	resp, err := try.RoundTrip(r)
	if err != nil {
		return &command.UsageError{Err: err}
	}
	return resp.Body.Close()
}

// nowhere answers by itself.
type nowhere struct{}

// RoundTrip answers that there is nothing.
func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

// bearerOnly sends nothing that has no bearer token, and no other credentials.
type bearerOnly struct{ next http.RoundTripper }

// RoundTrip fails with errNoToken.
func (b bearerOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, errNoToken
	}
	return b.next.RoundTrip(r)
}

type accountToken struct {
	token string
	next  http.RoundTripper
}

// RoundTrip sends the token along.
func (a accountToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return a.next.RoundTrip(r)
}
