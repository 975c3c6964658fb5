package stage

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// maxBody bounds a question, in bytes.
const maxBody = 4 << 10

// maxInstance bounds the name of an instance, in bytes.
const maxInstance = 200

// Handler answers the instances of one version: POST /stage asks for the
// stage, GET / shows it. now is the clock. Who may ask as which version is
// decided by where it is mounted: at the version's own listener.
func Handler(k *Keeper, service, version string, now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /stage", func(w http.ResponseWriter, r *http.Request) {
		q, err := readQuestion(w, r)
		if err != nil {
			writeProblem(w, err)
			return
		}
		a := k.Ask(service, version, q.Instance, q.Epoch, q.Leave, now())
		write(w, http.StatusOK, "application/json", answer{
			OnStage:           a.OnStage,
			Epoch:             a.Epoch,
			LeaseSeconds:      int64(a.Lease / time.Second),
			RetryAfterSeconds: int64(a.Retry / time.Second),
			Release:           a.Release,
			Reason:            a.Reason,
		})
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		on, epoch := k.onStage(service, version)
		write(w, http.StatusOK, "application/json", status{service, version, on, epoch})
	})
	return mux
}

// question is the body of POST /stage. Fields that it does not have are left
// alone, so that later clients can talk to an earlier greenroom.
type question struct {
	Instance string `json:"instance"`
	Epoch    uint64 `json:"epoch"` // of the lease that the instance holds; 0: none
	Leave    bool   `json:"leave"`
}

// answer is the answer to it.
type answer struct {
	OnStage           bool   `json:"onStage"`
	Epoch             uint64 `json:"epoch"`
	LeaseSeconds      int64  `json:"leaseSeconds,omitempty"`
	RetryAfterSeconds int64  `json:"retryAfterSeconds,omitempty"`
	Release           string `json:"release,omitempty"`
	Reason            string `json:"reason,omitempty"`
}

// status is the answer to GET /.
type status struct {
	Service string `json:"service"`
	Version string `json:"version"`
	OnStage bool   `json:"onStage"`
	Epoch   uint64 `json:"epoch"`
}

// problem is an error's answer, by RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func readQuestion(w http.ResponseWriter, r *http.Request) (question, error) {
	var q question
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := d.Decode(&q); err != nil {
		return question{}, err
	}
	if q.Instance == "" || len(q.Instance) > maxInstance {
		return question{}, errors.New(`"instance" must be a name of 1 to 200 bytes that no other instance has, such as $GREENROOM_INSTANCE`)
	}
	return q, nil
}

func writeProblem(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		status = http.StatusRequestEntityTooLarge
	}
	write(w, status, "application/problem+json", problem{
		Title:  http.StatusText(status),
		Status: status,
		Detail: `the question must be like {"instance":"<name>","epoch":0,"leave":false}: ` + err.Error(),
	})
}

// write ends a request. A client that went away meanwhile is no failure of
// ours, and asks again.
func write(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
