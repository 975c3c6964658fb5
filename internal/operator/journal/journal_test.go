package journal

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	api "github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/operator/operatortest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a fleet's namespace in an API server.
type world struct {
	*testing.T
	client client.Client
	fleet  types.NamespacedName
}

func (w world) open() *Journal {
	w.Helper()
	j, err := Open(w.Context(), w.client, w.fleet)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

func event(release, message string) Event {
	return Event{Event: api.Event{Time: noon, Type: "Told", Release: release, Who: "ada", Message: message}}
}

func (w world) append(j *Journal, revision uint64, events ...Event) {
	w.Helper()
	if err := j.Append(w.Context(), revision, events...); err != nil {
		w.Fatal(err)
	}
}

func (w world) after(j *Journal, after uint64, f Filter) []Event {
	w.Helper()
	events, err := j.After(w.Context(), after, f)
	if err != nil {
		w.Fatal(err)
	}
	return events
}

func (w world) before(j *Journal, before uint64, f Filter) []Event {
	w.Helper()
	events, err := j.Before(w.Context(), before, f)
	if err != nil {
		w.Fatal(err)
	}
	return events
}

// says returns the numbers and messages of events, shortened.
func says(events []Event) string {
	var out []string
	for _, e := range events {
		message, _, _ := strings.Cut(e.Message, " ")
		out = append(out, fmt.Sprintf("%d:%s", e.Seq, message))
	}
	return strings.Join(out, " ")
}

func (w world) maps() []corev1.ConfigMap {
	w.Helper()
	var found corev1.ConfigMapList
	if err := w.client.List(w.Context(), &found, client.InNamespace(w.fleet.Namespace), client.MatchingLabels{labelPart: partEvents}); err != nil {
		w.Fatal(err)
	}
	return found.Items
}

// large is an event of which a ConfigMap holds three.
func large(release, message string) Event {
	return event(release, message+" "+strings.Repeat("x", sealAt/4))
}

func TestJournal(t *testing.T) {
	cluster := operatortest.Start(t)
	c, err := client.New(cluster.Admin(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(w world){
		"what was written is read again":               testRoundTrip,
		"the events of a state are added once":         testOnce,
		"a full one is sealed and followed":            testSeal,
		"reading begins where it is asked to":          testRead,
		"two operators keep what the other wrote":      testTwo,
		"a removed part is left out":                   testRemoved,
		"what cannot be kept is refused and forgotten": testRefused,
	} {
		t.Run(name, func(t *testing.T) {
			test(world{T: t, client: c, fleet: types.NamespacedName{Namespace: cluster.Namespace(t), Name: "live"}})
		})
	}
}

func testRoundTrip(w world) {
	j := w.open()
	if j.Last() != 0 || j.Revision() != 0 || len(w.after(j, 0, Filter{Limit: 10})) != 0 {
		w.Errorf("an empty log ends at %d of revision %d", j.Last(), j.Revision())
	}
	events := []Event{event("r42", "one"), event("", "two")}
	events[0].Why, events[1].Data = "it was time\nor so", json.RawMessage(`{"output":"ok"}`)
	w.append(j, 7, events...)
	if events[0].Seq != 1 || events[1].Seq != 2 {
		w.Errorf("numbered %s", says(events))
	}
	note := []Event{event("r42", "three")}
	if err := j.Note(w.Context(), note...); err != nil {
		w.Fatal(err)
	}
	for _, j := range []*Journal{j, w.open()} {
		if diff := cmp.Diff(append(events[:2:2], note...), w.after(j, 0, Filter{Limit: 10})); diff != "" {
			w.Errorf("read (-written +read):\n%s", diff)
		}
		if j.Last() != 3 || j.Revision() != 7 {
			w.Errorf("it ends at %d of revision %d, want 3 of 7", j.Last(), j.Revision())
		}
	}
	found := w.maps()
	if len(found) != 1 || found[0].Name != "greenroom.live.events.000001" || len(found[0].OwnerReferences) > 0 ||
		found[0].Labels["greenroom.dev/fleet"] != "live" || found[0].Labels["app.kubernetes.io/managed-by"] != "greenroom" {
		w.Errorf("kept in %+v", found)
	}
}

func testOnce(w world) {
	j := w.open()
	w.append(j, 3, event("", "three"))
	for _, j := range []*Journal{j, w.open()} { // the same after a restart
		w.append(j, 3, event("", "three"))
		w.append(j, 2, event("", "two"))
	}
	w.append(j, 5, event("", "five"))
	if got := says(w.after(j, 0, Filter{Limit: 10})); got != "1:three 2:five" {
		w.Errorf("the log says %s", got)
	}
	if err := j.Append(w.Context(), 0, event("", "none")); err == nil {
		w.Error("a state without a revision")
	}
}

func testSeal(w world) {
	j := w.open()
	for i := range uint64(7) {
		w.append(j, i+1, large(fmt.Sprintf("r%d", i+1), fmt.Sprint("m", i+1)))
	}
	found := w.maps()
	if len(found) != 3 {
		w.Fatalf("%d ConfigMaps, want 3", len(found))
	}
	for i, o := range found {
		if sealed := o.Immutable != nil && *o.Immutable; sealed != (i < 2) {
			w.Errorf("%s is immutable: %t", o.Name, sealed)
		}
		if size := len(o.Data[linesField]); size > sealAt {
			w.Errorf("%s has %d bytes", o.Name, size)
		}
	}
	inMemory := 0
	for _, s := range j.segments {
		if s.object != nil {
			inMemory++
		}
	}
	if inMemory != 1 {
		w.Errorf("the content of %d ConfigMaps is kept in memory, want that of the last", inMemory)
	}
	for _, j := range []*Journal{j, w.open()} {
		if got := says(w.after(j, 0, Filter{Limit: 10})); got != "1:m1 2:m2 3:m3 4:m4 5:m5 6:m6 7:m7" {
			w.Errorf("the log says %s", got)
		}
	}
	// The next operator may find the last one sealed and nothing behind it.
	last := found[2]
	yes := true
	last.Immutable = &yes
	if err := w.client.Update(w.Context(), &last); err != nil {
		w.Fatal(err)
	}
	w.append(j, 8, event("", "m8"))
	w.append(w.open(), 9, event("", "m9"))
	if got := says(w.after(w.open(), 6, Filter{Limit: 10})); got != "7:m7 8:m8 9:m9" {
		w.Errorf("the log ends with %s", got)
	}
}

func testRead(w world) {
	j := w.open()
	for i := range uint64(8) {
		release := "r1"
		if i == 3 || i == 7 {
			release = "r2"
		}
		w.append(j, i+1, large(release, fmt.Sprint("m", i+1)))
	}
	for _, c := range []struct {
		got  []Event
		want string
	}{
		{w.after(j, 0, Filter{Limit: 2}), "1:m1 2:m2"},
		{w.after(j, 2, Filter{Limit: 2}), "3:m3 4:m4"},
		{w.after(j, 7, Filter{Limit: 2}), "8:m8"},
		{w.after(j, 8, Filter{Limit: 2}), ""},
		{w.after(j, 100, Filter{Limit: 2}), ""},
		{w.after(j, 0, Filter{Limit: 10, Release: "r2"}), "4:m4 8:m8"},
		{w.after(j, 4, Filter{Limit: 10, Release: "r2"}), "8:m8"},
		{w.after(j, 0, Filter{Limit: 10, Release: "r3"}), ""},
		{w.before(j, 0, Filter{Limit: 3}), "6:m6 7:m7 8:m8"},
		{w.before(j, 6, Filter{Limit: 3}), "3:m3 4:m4 5:m5"},
		{w.before(j, 1, Filter{Limit: 3}), ""},
		{w.before(j, 0, Filter{Limit: 1, Release: "r1"}), "7:m7"},
		{w.before(j, 8, Filter{Limit: 10, Release: "r2"}), "4:m4"},
	} {
		if got := says(c.got); got != c.want {
			w.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func testTwo(w world) {
	one, other := w.open(), w.open()
	var wg sync.WaitGroup
	for _, j := range []*Journal{one, other} {
		wg.Go(func() {
			for range 10 {
				// Each try but one fails where two write all the time.
				for err := j.Note(w.Context(), large("", "m")); err != nil; err = j.Note(w.Context(), large("", "m")) {
					if w.Context().Err() != nil {
						w.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	events := w.after(w.open(), 0, Filter{Limit: 100})
	if len(events) != 20 {
		w.Errorf("%d events are kept, want 20", len(events))
	}
	for i, e := range events {
		if e.Seq != uint64(i+1) {
			w.Fatalf("the numbers are %s", says(events))
		}
	}
}

func testRemoved(w world) {
	j := w.open()
	for i := range uint64(5) {
		w.append(j, i+1, large("", fmt.Sprint("m", i+1)))
	}
	found := w.maps()
	if err := w.client.Delete(w.Context(), &found[0]); err != nil {
		w.Fatal(err)
	}
	for _, j := range []*Journal{j, w.open()} {
		if got := says(w.after(j, 0, Filter{Limit: 10})); got != "4:m4 5:m5" {
			w.Errorf("the log says %s", got)
		}
	}
	if err := w.client.Delete(w.Context(), &found[1]); err != nil {
		w.Fatal(err)
	}
	w.append(j, 5, event("", "again"))
	w.append(j, 6, event("", "m6"))
	if got := says(w.after(w.open(), 0, Filter{Limit: 10})); got != "6:m6" {
		w.Errorf("after the last part was removed the log says %s", got)
	}
}

func testRefused(w world) {
	j := w.open()
	if err := j.Append(w.Context(), 1, event("", strings.Repeat("x", sealAt))); err == nil {
		w.Error("an event larger than a ConfigMap")
	}
	w.append(j, 1, event("", "m1"))
	odd := w.maps()[0]
	odd.Annotations[annotation] = "what?"
	if err := w.client.Update(w.Context(), &odd); err != nil {
		w.Fatal(err)
	}
	if _, err := Open(w.Context(), w.client, w.fleet); err == nil || !strings.Contains(err.Error(), odd.Name) {
		w.Errorf("a ConfigMap that does not say what it holds: %v", err)
	}
}
