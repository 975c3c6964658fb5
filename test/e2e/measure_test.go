//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
)

// The bounds of a measurement.
const (
	observers = 4               // connections of the traffic that a switch is seen by
	pairs     = 3               // promotions and rollbacks that are measured
	calmFor   = 10              // looks in turn at which nothing has changed
	calmWait  = 2 * time.Minute // until it is calm
)

// moment is when a switch was seen, from when it was asked for.
type moment struct{ first, last time.Duration }

// measurement is a release that is promoted and rolled back, and where that
// shows.
type measurement struct {
	services        int // of the fleet
	release, former string
	path            string
	alike           []string
	now, before     string // versions
}

// measured prints how long a switch takes to arrive, and beside it what istiod
// takes for the same write by hand: what is more is greenroom's. The same edge
// is at the gateway a second time for that, under a host that greenroom knows
// nothing of.
func (st *story) measured(t *testing.T, m measurement) {
	control := "control." + st.fleet.Host
	st.calm(t)
	specs := st.bothEdges(t, m, control)
	st.applyControl(t, specs[m.former])
	arrived := func(stamp string) {
		st.await(t, "the control to serve "+stamp, routeWait, func() error {
			r, err := st.askAt(st.fleet, control, "/.greenroom/default", nil)
			if err == nil && r.body != stamp+"\n" {
				err = fmt.Errorf("it says %d %q", r.status, r.body)
			}
			return err
		})
	}
	arrived(m.former)
	began := time.Now()
	st.calm(t) // Argo has just moved Services, and a node's port may refuse connections while it follows them
	ours := st.trafficAt(t, st.fleet, st.fleet.Host, m.path, m.alike, observers)
	theirs := st.trafficAt(t, st.fleet, control, m.path, m.alike, observers)
	type switched struct {
		at      time.Time
		version string
	}
	var byUs, byHand []switched
	for i := range 2 * pairs {
		stamp, version := m.release, m.now
		if i%2 == 1 {
			stamp, version = m.former, m.before
		}
		st.calm(t)
		byUs = append(byUs, switched{time.Now(), version})
		st.switchTo(t, m, stamp)
		ours.answered(t, st.stage, 2*observers)
		st.calm(t)
		byHand = append(byHand, switched{time.Now(), version})
		if err := st.Patch(st.ctx, st.edgePath("control"), specs[stamp]); err != nil {
			t.Fatal(err)
		}
		arrived(stamp)
		theirs.answered(t, st.stage, 2*observers)
	}
	end := time.Now()
	of := func(tr *traffic, list []switched) []moment {
		r := tr.stop()
		if err := r.trouble(); err != nil {
			t.Error(err)
		}
		var out []moment
		for i, s := range list {
			until := end
			if i+1 < len(list) {
				until = list[i+1].at
			}
			first, last := r.switched(s.at, until, s.version)
			out = append(out, moment{first, last})
		}
		return out
	}
	us, hand := of(ours, byUs), of(theirs, byHand)
	t.Logf("%d services, %d switches each. greenroom, from the call: %s; by hand, from the write: %s; greenroom's share of the first: %v (medians)",
		m.services, 2*pairs, told(us), told(hand), (median(us, firstOf) - median(hand, firstOf)).Round(time.Millisecond))
	t.Logf("%d services: of greenroom's, as the operator says: %s", m.services, st.parts(t, began))
	st.kubectl(t, "delete", "virtualservice", "control", "-n", st.fleet.Namespace)
}

// parts are how long the parts of the switches since a time took, as the log of
// the operator that leads says.
func (s *stage) parts(t *testing.T, since time.Time) string {
	t.Helper()
	leader, err := s.leader()
	if err != nil {
		t.Fatal(err)
	}
	log := s.kubectl(t, "logs", "-n", operatorNamespace, leader, "--since-time", since.UTC().Format(time.RFC3339))
	var encoded, durable, edge []time.Duration
	for line := range strings.Lines(log) {
		var one struct {
			Msg                    string
			Encoded, Durable, Edge time.Duration
		}
		if json.Unmarshal([]byte(line), &one) == nil && one.Msg == "the edge is switched" {
			encoded, durable, edge = append(encoded, one.Encoded), append(durable, one.Durable), append(edge, one.Edge)
		}
	}
	if len(edge) == 0 {
		t.Errorf("the operator's log tells of no switch: %s", log)
		return ""
	}
	return fmt.Sprintf("encoded %s, durable %s, edge %s", spread(encoded), spread(durable), spread(edge))
}

func spread(list []time.Duration) string {
	slices.Sort(list)
	return fmt.Sprintf("%v to %v (median %v)", list[0].Round(time.Millisecond), list[len(list)-1].Round(time.Millisecond), middle(list).Round(time.Millisecond))
}

// middle is the median of what is sorted.
func middle(list []time.Duration) time.Duration {
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

func firstOf(m moment) time.Duration { return m.first }
func lastOf(m moment) time.Duration  { return m.last }

func sorted(list []moment, of func(moment) time.Duration) []time.Duration {
	var out []time.Duration
	for _, m := range list {
		out = append(out, of(m).Round(time.Millisecond))
	}
	slices.Sort(out)
	return out
}

func median(list []moment, of func(moment) time.Duration) time.Duration {
	return middle(sorted(list, of))
}

// told is what some moments come to.
func told(list []moment) string {
	first, last := sorted(list, firstOf), sorted(list, lastOf)
	return fmt.Sprintf("first request of the new release after %v to %v (median %v), last of the old one sent after %v to %v (median %v)",
		first[0], first[len(first)-1], median(list, firstOf), last[0], last[len(last)-1], median(list, lastOf))
}

// switchTo makes a stamp what ordinary requests get: the release's, or that of
// what it replaces.
func (st *story) switchTo(t *testing.T, m measurement, stamp string) {
	t.Helper()
	var err error
	if stamp == m.release {
		_, err = st.by.Promote(st.ctx, m.release, client.Promote{})
	} else {
		_, err = st.by.Rollback(st.ctx, m.release, client.Asked{Reason: "measured"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (st *story) edgePath(name string) string {
	return "/apis/networking.istio.io/v1/namespaces/" + st.fleet.Namespace + "/virtualservices/" + name
}

// bothEdges switches to and fro and keeps what the edge says with each, for
// another host.
func (st *story) bothEdges(t *testing.T, m measurement, host string) map[string]json.RawMessage {
	t.Helper()
	out := map[string]json.RawMessage{}
	for _, stamp := range []string{m.release, m.former} {
		st.switchTo(t, m, stamp)
		var vs struct {
			Spec map[string]any `json:"spec"`
		}
		if err := st.Get(st.ctx, st.edgePath("greenroom.live.edge."+st.fleet.Namespace+".edge"), &vs); err != nil {
			t.Fatal(err)
		}
		vs.Spec["hosts"] = []string{host}
		text, err := json.Marshal(vs)
		if err != nil {
			t.Fatal(err)
		}
		out[stamp] = text
	}
	return out
}

func (st *story) applyControl(t *testing.T, edge json.RawMessage) {
	t.Helper()
	object := map[string]any{}
	if err := json.Unmarshal(edge, &object); err != nil {
		t.Fatal(err)
	}
	object["apiVersion"], object["kind"] = "networking.istio.io/v1", "VirtualService"
	object["metadata"] = map[string]any{"name": "control", "namespace": st.fleet.Namespace}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	st.apply(t, string(text))
}

// calm waits until nothing has changed for a while of what istiod looks at, so
// that what is written next is not gathered with what came before it.
func (st *story) calm(t *testing.T) {
	t.Helper()
	var before string
	inTurn := 0
	st.await(t, "calm", calmWait, func() error {
		now, err := st.versions()
		if err != nil || now != before {
			before, inTurn = now, 0
			return fmt.Errorf("something changes (%v)", err)
		}
		if inTurn++; inTurn < calmFor {
			return fmt.Errorf("calm at %d looks", inTurn)
		}
		return nil
	})
}

// versions are those of the objects that istiod looks at.
func (st *story) versions() (string, error) {
	var out strings.Builder
	for _, path := range []string{
		"/apis/networking.istio.io/v1/virtualservices", "/apis/networking.istio.io/v1/destinationrules", "/api/v1/services",
		"/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/namespaces/" + st.fleet.Namespace + "/pods",
	} {
		var list struct {
			Items []struct {
				Metadata struct{ Name, ResourceVersion string }
			}
		}
		if err := st.List(st.ctx, path, &list); err != nil {
			return "", err
		}
		for _, one := range list.Items {
			fmt.Fprintln(&out, one.Metadata.Name, one.Metadata.ResourceVersion)
		}
	}
	return out.String(), nil
}

// measuredFew measures with r42, which is previewed.
func (st *story) measuredFew(t *testing.T) {
	st.measured(t, measurement{len(st.fleet.Services), "r42", "baseline", "/", released(), "v2", "v1"})
}

// made counts what greenroom has made for the fleet, by kind.
func (st *story) made(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	kinds := "virtualservices,destinationrules,services,requestauthentications,authorizationpolicies,telemetries"
	for line := range strings.Lines(st.kubectl(t, "get", kinds, "-n", st.fleet.Namespace, "-l", "app.kubernetes.io/managed-by=greenroom",
		"-o", `jsonpath={range .items[*]}{.kind}{"\n"}{end}`)) {
		out[strings.TrimSpace(line)]++
	}
	return out
}
