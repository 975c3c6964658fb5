//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

const (
	operatorNamespace = "greenroom-system"
	operatorProgram   = "github.com/greenroom-dev/greenroom/cmd/greenroom-operator"
)

// installOperator builds the operator's image and installs it as its users do.
// It is taken away when the test is over. What installed it is returned.
func (s *stage) installOperator(t *testing.T) string {
	t.Helper()
	image, err := s.GoImage(s.ctx, "", operatorProgram)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(image.Files[0].Source)
	if err != nil {
		t.Fatal(err)
	}
	image.Name = fmt.Sprintf("%s/greenroom-operator:%x", hub, sha256.Sum256(program))[:60] // another program is another image
	if err := s.LoadImage(s.ctx, image); err != nil {
		t.Fatal(err)
	}
	manifests, err := exec.CommandContext(s.ctx, image.Files[0].Source, "manifests", "--image", image.Name).Output()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(attachTo) == "" { // a cluster that was there keeps it, for others may use it
		t.Cleanup(func() { s.uninstallOperator(t, string(manifests)) })
	}
	s.apply(t, string(manifests))
	if err := s.AwaitWorkloads(s.ctx, operatorNamespace); err != nil {
		t.Fatal(err)
	}
	return string(manifests)
}

// uninstallOperator takes away everything that installed the operator.
func (s *stage) uninstallOperator(t *testing.T, manifests string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), podWait)
	defer cancel()
	if _, err := s.Kubectl(ctx, manifests, "delete", "-f", "-", "--ignore-not-found", "--wait"); err != nil {
		t.Error(err)
	}
}

// person speaks to the operator about one fleet as somebody with a kubeconfig
// does: by a port-forward to the pod that leads, with a token of their own.
type person struct {
	*client.Client
	stop func()
}

// person connects to the operator. The connection ends with the test, or with
// the operator's pod: then there has to be another.
func (s *stage) person(t *testing.T, f *fleet) *person {
	t.Helper()
	var out *person
	s.await(t, "a connection to the operator that leads", podWait, func() (err error) {
		out, err = s.connect(f)
		return err
	})
	t.Cleanup(out.stop)
	return out
}

// forwarded is what kubectl says when a port-forward stands.
var forwarded = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// leader is the pod of the operator that leads.
func (s *stage) leader() (string, error) {
	holder, err := s.Kubectl(s.ctx, "", "get", "lease", "greenroom-operator", "-n", operatorNamespace, "-o", "jsonpath={.spec.holderIdentity}")
	pod, _, _ := strings.Cut(holder, "_") // the rest tells processes of one pod apart
	return pod, err
}

func (s *stage) connect(f *fleet) (*person, error) {
	pod, err := s.leader()
	if err != nil {
		return nil, err
	}
	token, err := s.Kubectl(s.ctx, "", "config", "view", "--raw", "-o", "jsonpath={.users[0].user.token}")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cmd := exec.CommandContext(ctx, "/usr/bin/env", "kubectl", "port-forward", "-n", operatorNamespace, "pod/"+pod, ":9090")
	cmd.Env = s.Environ()
	cmd.WaitDelay = time.Second
	var complaint strings.Builder
	cmd.Stderr = &complaint
	lines, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	stop := func() {
		cancel()
		_ = cmd.Wait() // it was told to end
	}
	out := bufio.NewScanner(lines)
	for out.Scan() {
		if m := forwarded.FindStringSubmatch(out.Text()); m != nil {
			c, err := client.Remote(fmt.Sprintf("http://%s/fleets/%s/live", m[1], f.Namespace), token, nil)
			if err == nil {
				_, err = c.Status(s.ctx)
			}
			if err != nil {
				stop()
				return nil, err
			}
			return &person{Client: c, stop: stop}, nil
		}
	}
	stop()
	return nil, errors.New("kubectl port-forward: " + complaint.String())
}

// awaitPhase waits until a release is in a phase.
func (s *stage) awaitPhase(t *testing.T, f *fleet, name, phase string) {
	t.Helper()
	s.await(t, name+" "+phase, podWait, func() error { return s.inPhase(f, name, phase) })
}

// inPhase returns an error while a Release is in another phase, with what it
// says of itself.
func (s *stage) inPhase(f *fleet, name, phase string) error {
	got, err := s.Kubectl(s.ctx, "", "get", "release.greenroom.dev", name, "-n", f.Namespace, "-o",
		"jsonpath={.status.phase} {range .status.conditions[*]}{.type}={.status} {.message}; {end}")
	if err == nil && !strings.HasPrefix(got, phase+" ") {
		err = fmt.Errorf("it is %s", got)
	}
	return err
}

// awaitCondition waits until a condition of the Fleet is true, or is not.
func (s *stage) awaitCondition(t *testing.T, f *fleet, condition string, want bool) {
	t.Helper()
	s.await(t, fmt.Sprintf("%s to be %v", condition, want), routeWait, func() error {
		if said := s.condition(t, f, condition); (said != "") != want {
			return fmt.Errorf("the Fleet says %q", said)
		}
		return nil
	})
}

// condition is what a condition of the Fleet says that is true; else "".
func (s *stage) condition(t *testing.T, f *fleet, condition string) string {
	t.Helper()
	var one struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := s.Get(s.ctx, "/apis/greenroom.dev/v1alpha1/namespaces/"+f.Namespace+"/fleets/live", &one); err != nil {
		t.Fatal(err)
	}
	for _, c := range one.Status.Conditions {
		if c.Type == condition && c.Status == "True" {
			return c.Message
		}
	}
	return ""
}
