package dashboard

import (
	"errors"
	"net/http"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/httpapi"
)

// settingsPage is who may do what.
type settingsPage struct {
	Tokens        []client.Token
	MayTokens     bool
	NoTokens      string // why there are none here
	Notifications []client.Notification
	Freezes       []client.Freeze
	Document      string
	Grants        grants
}

func (d *Dashboard) showSettings(v *visit) {
	fleet, err := v.api.Fleet(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	m, err := d.hub.look(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	out := settingsPage{
		Document: fleet.Document, Notifications: m.status.Notifications, Freezes: m.status.Freezes, Grants: v.grants(""),
		MayTokens: v.may(httpapi.ListTokens, ""),
	}
	if out.MayTokens && !d.o.Cluster {
		var refused *client.Error
		if out.Tokens, err = v.api.Tokens(v.r.Context()); errors.As(err, &refused) {
			out.MayTokens, out.NoTokens = false, refused.Error()
		} else if err != nil {
			v.failed(err)
			return
		}
	}
	v.show("settings", v.t("nav.settings"), "settings", subject{kind: "settings"}, out)
}

// tokenForm makes an API token.
type tokenForm struct {
	Name, Role string
	Problem    *problem
	Made       *client.MadeToken
}

func (d *Dashboard) askToken(v *visit) { v.tokenForm(http.StatusOK, tokenForm{Role: "viewer"}) }

func (v *visit) tokenForm(status int, f tokenForm) {
	if v.partial() {
		v.write(status, "token", f)
		return
	}
	v.answer(status, "token.page", v.t("token.new"), "settings", subject{kind: "settings"}, f)
}

func (d *Dashboard) makeToken(v *visit) {
	if !v.readForm() {
		return
	}
	f := tokenForm{Name: v.form("name"), Role: v.form("role")}
	made, err := v.api.MakeToken(v.r.Context(), client.MakeToken{Asked: client.Asked{Reason: v.form("reason")}, Name: f.Name, Role: f.Role})
	if err != nil {
		status, p := v.problemOf(err)
		f.Problem = &p
		v.tokenForm(status, f)
		return
	}
	f.Made = &made
	v.tokenForm(http.StatusOK, f)
}

func (d *Dashboard) askRevokeToken(v *visit) {
	id := v.r.PathValue("id")
	v.revokeForm(http.StatusOK, revokeForm{Kind: "tokens", ID: id, Name: id}, "/settings")
}

func (d *Dashboard) revokeToken(v *visit) {
	if !v.readForm() {
		return
	}
	id := v.r.PathValue("id")
	if _, err := v.api.RevokeToken(v.r.Context(), id, client.Asked{Reason: v.form("reason")}); err != nil {
		status, p := v.problemOf(err)
		v.revokeForm(status, revokeForm{Kind: "tokens", ID: id, Name: id, Problem: &p}, "/settings")
		return
	}
	v.see("/settings")
}
