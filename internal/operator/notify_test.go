package operator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/greenroom-dev/greenroom/api/v1alpha1/crd"
	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

// sent is what a receiver of notifications was sent.
type sent struct {
	path   string
	header http.Header
	body   []byte
}

// receiver takes notifications.
func receiver(t *testing.T) (url string, got chan sent) {
	got = make(chan sent, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- sent{r.URL.Path, r.Header, body}
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// testNotify is that who may write a Fleet cannot have a Secret's token sent to
// themselves: the Secret's own url goes before the Fleet's, and without one the
// token goes nowhere.
func testNotify(t *testing.T, cluster *operatortest.Cluster) {
	r := newRig(t, cluster, "api")
	owner, toOwner := receiver(t)
	other, toOther := receiver(t)
	label := map[string]string{"greenroom.dev/notify": "live"}
	for name, data := range map[string]map[string]string{
		"full":  {"url": owner, "secret": "the-token"},
		"token": {"secret": "the-token"},
	} {
		s := &corev1.Secret{ObjectMeta: r.meta(name), StringData: data}
		s.Labels = label
		r.create(s)
	}
	r.fleet("api")
	r.serves("baseline")
	r.change(func(f *crd.Fleet) {
		f.Spec.Notify = []crd.Notification{
			{Name: "full", Kind: "grafana", URL: other, Secret: "full"},
			{Name: "token", Kind: "grafana", URL: other, Secret: "token"},
			{Name: "signed", Kind: "webhook", URL: other, Secret: "token"},
		}
	})
	r.until("they are known", func() error {
		s, err := r.api.Status(t.Context())
		if err == nil && len(s.Notifications) != 3 {
			err = fmt.Errorf("there are %+v", s.Notifications)
		}
		return err
	})

	if _, err := r.api.TestNotification(t.Context(), "full", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-toOwner:
		if got.header.Get("Authorization") != "Bearer the-token" || got.path != "/api/annotations" {
			t.Errorf("the Secret's url was sent %v at %s", got.header, got.path)
		}
	default:
		t.Error("the Secret's url was sent nothing")
	}
	_, err := r.api.TestNotification(t.Context(), "token", api.Asked{})
	if err == nil || !strings.Contains(err.Error(), "put url into it") || strings.Contains(err.Error(), "the-token") {
		t.Errorf("a token without a url of its own: %v", err)
	}
	// The key of a webhook signs, and is sent nowhere.
	if _, err := r.api.TestNotification(t.Context(), "signed", api.Asked{}); err != nil {
		t.Fatal(err)
	}
	if len(toOther) == 0 {
		t.Error("the Fleet's url was sent nothing")
	}
	for len(toOther) > 0 {
		got := <-toOther
		if err := api.VerifyWebhook("the-token", got.header.Get("Greenroom-Signature"), got.body, time.Now(), time.Hour); err != nil {
			t.Errorf("signed %v: %v", got.header, err)
		}
		if got.header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(got.header)+string(got.body), "the-token") {
			t.Errorf("the Fleet's url was sent %v with %s", got.header, got.body)
		}
	}
}
