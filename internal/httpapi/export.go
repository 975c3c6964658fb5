package httpapi

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/greenroom-dev/greenroom/client"
)

type exportIn struct {
	EventFilter
	After  uint64 `query:"after" doc:"Only events with a higher number"`
	Format string `query:"format" enum:"jsonl,csv" default:"jsonl" doc:"jsonl: one JSON object a line; csv: with a header"`
}

// exportRoute lets people take events with them, however many they are: they
// are written as they are read.
func (s *Server) exportRoute() {
	op := s.operation(Look, http.MethodGet, "/v1/events/export", "What happened, in order, as a file")
	op.Responses["200"] = &huma.Response{
		Description: "All events that are asked for, in order",
		Content: map[string]*huma.MediaType{
			"application/jsonl": {Schema: &huma.Schema{Type: "string"}},
			"text/csv":          {Schema: &huma.Schema{Type: "string"}},
		},
	}
	huma.Register(s.api, op, func(_ context.Context, in *exportIn) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			_, w := humago.Unwrap(hc)
			s.export(hc.Context(), w, in)
		}}, nil
	})
}

// export writes the events. When it fails after it has begun, the connection
// is broken off, so that a part is not taken for the whole.
func (s *Server) export(ctx context.Context, w http.ResponseWriter, in *exportIn) {
	control := http.NewResponseController(w)
	out := &exporter{w: w, format: in.Format, name: "events-" + s.o.Now().UTC().Format("20060102-150405") + "." + in.Format}
	err := s.eachEvent(ctx, in.EventFilter, in.After, func(e client.Event) (bool, error) {
		_ = control.SetWriteDeadline(time.Now().Add(s.pace.stall)) // a connection without deadlines waits
		return true, out.event(e)
	})
	if err == nil {
		err = out.end()
	}
	switch {
	case err == nil:
	case !out.began:
		writeProblem(w, s.problem(err))
	default:
		if ctx.Err() == nil {
			s.o.Log.Warn("an export of events was broken off", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// exporter writes events as a file. Its first one begins the answer.
type exporter struct {
	w      http.ResponseWriter
	format string
	name   string
	began  bool
	csv    *csv.Writer
}

// columns are those of a CSV file.
var columns = []string{"seq", "time", "kind", "release", "who", "why", "message"}

func (x *exporter) begin() error {
	if x.began {
		return nil
	}
	x.began = true
	h := x.w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Disposition", `attachment; filename="`+x.name+`"`)
	if x.format != "csv" {
		x.w.WriteHeader(http.StatusOK)
		return nil
	}
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	x.w.WriteHeader(http.StatusOK)
	x.csv = csv.NewWriter(x.w)
	return x.csv.Write(columns)
}

func (x *exporter) event(e client.Event) error {
	if err := x.begin(); err != nil {
		return err
	}
	if x.csv != nil {
		return x.csv.Write([]string{
			strconv.FormatUint(e.Seq, 10), e.Time.UTC().Format(time.RFC3339Nano),
			harmless(e.Type), harmless(e.Release), harmless(e.Who), harmless(e.Why), harmless(e.Message),
		})
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = x.w.Write(append(line, '\n'))
	return err
}

func (x *exporter) end() error {
	if err := x.begin(); err != nil || x.csv == nil {
		return err
	}
	x.csv.Flush()
	return x.csv.Error()
}

// harmless is a text that no spreadsheet takes for a formula: one that begins
// as formulas do, after blanks or not, begins with an apostrophe instead.
func harmless(text string) string {
	rest := strings.TrimLeft(text, " \t\r\n\u00a0")
	if rest != text && strings.ContainsAny(text[:1], "\t\r\n") || rest != "" && strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20|", []rune(rest)[0]) {
		return "'" + text
	}
	return text
}
