package dashboard

import (
	"image/color"
	"net/http"
	"slices"
	"strings"

	"github.com/boombuler/barcode/qr"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// passesPart is the list of passes.
type passesPart struct {
	Passes []client.Pass
	Revoke bool
}

func (v *visit) passList() (passesPart, error) {
	list, err := v.api.Passes(v.r.Context())
	return passesPart{list, v.may(httpapi.RevokePass, "")}, err
}

// passesPage is the list, with what can be made.
type passesPage struct {
	List   passesPart
	Grants grants
}

func (d *Dashboard) showPasses(v *visit) {
	list, err := v.passList()
	if err != nil {
		v.failed(err)
		return
	}
	v.show("passes.page", v.t("nav.passes"), "passes", subject{kind: "passes"}, passesPage{list, v.grants("")})
}

// passForm makes a pass or a callback address.
type passForm struct {
	Callback                                     bool
	Releases                                     []string
	Release, For, Subject, Paths, Methods, Count string
	Back                                         string // the release that the form was opened for
	Problem                                      *problem
	Pass                                         *client.MintedPass // that was made
	Address                                      *client.MintedCallback
	QR                                           *qrCode
}

// live stands for whatever serves among the releases of a form.
const live = "*live"

func (d *Dashboard) askPass(v *visit) {
	kind := v.r.PathValue("act")
	if kind != "new" && kind != "callback" {
		v.fail(http.StatusNotFound, v.t("error.nopage"), "")
		return
	}
	v.passForm(http.StatusOK, passForm{Callback: kind == "callback", Release: v.r.URL.Query().Get("release"), For: "2h", Methods: "GET POST"})
}

func (v *visit) passForm(status int, f passForm) {
	m, err := v.d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	for _, r := range m.status.Releases {
		switch r.Phase {
		case "Preparing", "Previewing", "Canary", "Live":
			f.Releases = append(f.Releases, r.Name)
		}
	}
	if v.partial() {
		v.write(status, "pass", f)
		return
	}
	if slices.Contains(f.Releases, f.Release) {
		f.Back = f.Release
	}
	v.answer(status, "pass.page", v.t("pass.new"), "passes", subject{kind: "settings"}, f)
}

func (d *Dashboard) makePass(v *visit) {
	if !v.readForm() {
		return
	}
	f := passForm{
		Callback: v.r.PathValue("act") == "callback", Release: v.form("release"), For: v.form("for"), Subject: v.form("subject"),
		Paths: v.form("paths"), Methods: v.form("methods"), Count: v.form("count"),
	}
	asked := client.Asked{Reason: v.form("reason")}
	var err error
	if f.Callback {
		var made client.MintedCallback
		made, err = v.api.MintCallback(v.r.Context(), client.MintCallback{
			Asked: asked, Release: f.Release, For: f.For, Subject: f.Subject, Paths: strings.Fields(f.Paths),
			Methods: strings.Fields(strings.ToUpper(f.Methods)), Count: int(min(number(f.Count), 100_000)),
		})
		f.Address = &made
	} else {
		in := client.MintPass{Asked: asked, Release: f.Release, For: f.For, Subject: f.Subject, Paths: strings.Fields(f.Paths)}
		if f.Release == live {
			in.Release, in.Live = "", true
		}
		var made client.MintedPass
		made, err = v.api.MintPass(v.r.Context(), in)
		f.Pass = &made
		if err == nil {
			f.QR = drawQR(made.Link)
		}
	}
	if err != nil {
		status, p := v.problemOf(err)
		f.Problem, f.Pass, f.Address = &p, nil, nil
		v.passForm(status, f)
		return
	}
	v.passForm(http.StatusOK, f)
}

// qrCode is a QR code as a path in a square.
type qrCode struct {
	Size int
	Path string
}

// drawQR draws a link; nil when it is too long.
func drawQR(link string) *qrCode {
	code, err := qr.Encode(link, qr.L, qr.Auto)
	if err != nil {
		return nil
	}
	const quiet = 4 // modules of margin that readers need
	size := code.Bounds().Dx()
	var b strings.Builder
	for y := range size {
		for x := range size {
			if code.At(x, y) == color.Black {
				b.WriteString("M" + itoa(x+quiet) + " " + itoa(y+quiet) + "h1v1h-1z")
			}
		}
	}
	return &qrCode{size + 2*quiet, b.String()}
}

// revokeForm asks whether a pass or a token is to be made worthless.
type revokeForm struct {
	Kind, ID, Name string
	Problem        *problem
}

func (d *Dashboard) askRevoke(v *visit) {
	list, err := v.api.Passes(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	f := revokeForm{Kind: "passes", ID: v.r.PathValue("id")}
	for _, p := range list {
		if p.ID == f.ID {
			f.Name = p.Subject
		}
	}
	v.revokeForm(http.StatusOK, f, "/passes")
}

func (v *visit) revokeForm(status int, f revokeForm, nav string) {
	if v.partial() {
		v.write(status, "revoke", f)
		return
	}
	v.answer(status, "revoke.page", v.t("revoke.title", f.Name), strings.TrimPrefix(nav, "/"), subject{kind: "settings"}, f)
}

func (d *Dashboard) revokePass(v *visit) {
	if !v.readForm() {
		return
	}
	id := v.r.PathValue("id")
	if _, err := v.api.RevokePass(v.r.Context(), id, client.Asked{Reason: v.form("reason")}); err != nil {
		status, p := v.problemOf(err)
		v.revokeForm(status, revokeForm{Kind: "passes", ID: id, Name: id, Problem: &p}, "/passes")
		return
	}
	v.see("/passes")
}
