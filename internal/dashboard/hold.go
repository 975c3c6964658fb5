package dashboard

import (
	"net/http"
	"strings"

	"github.com/greenroom-dev/greenroom/client"
)

// holdForm begins, changes or ends a hold.
type holdForm struct {
	Hold    *client.Hold // that is on
	Modes   []string
	Mode    string
	For     string
	Routes  string
	Reason  string
	Problem *problem
}

func (d *Dashboard) askHold(v *visit) {
	mode := "wait"
	if d.o.Cluster {
		mode = "writes-only"
	}
	v.holdForm(http.StatusOK, holdForm{Mode: mode, For: "20s"})
}

func (v *visit) holdForm(status int, f holdForm) {
	f.Modes = []string{"wait", "writes-only", "page"}
	if v.d.o.Cluster {
		f.Modes = f.Modes[1:] // requests cannot wait there
	}
	h, err := v.api.Hold(v.r.Context())
	if err != nil && f.Problem == nil {
		_, p := v.problemOf(err)
		f.Problem = &p
	}
	if h.On {
		f.Hold = &h
	}
	if v.partial() {
		v.write(status, "hold", f)
		return
	}
	v.answer(status, "hold.page", v.t("hold.title"), "fleet", subject{kind: "settings"}, f)
}

func (d *Dashboard) doHold(v *visit) {
	if !v.readForm() {
		return
	}
	f := holdForm{Mode: v.form("mode"), For: v.form("for"), Routes: v.form("routes"), Reason: v.form("reason")}
	var done client.HoldChanged
	var err error
	if v.form("off") != "" {
		done, err = v.api.HoldOff(v.r.Context(), client.Asked{Reason: f.Reason})
	} else {
		done, err = v.api.HoldOn(v.r.Context(), client.HoldOn{
			Asked: client.Asked{Reason: f.Reason}, Mode: f.Mode, For: f.For, Routes: strings.Fields(f.Routes),
		})
	}
	if err != nil {
		status, p := v.problemOf(err)
		f.Problem = &p
		v.holdForm(status, f)
		return
	}
	if v.partial() {
		v.w.Header().Set("HX-Trigger", "done")
		v.write(http.StatusOK, "said", said{done.Message, done.Notes})
		return
	}
	v.see("/")
}
