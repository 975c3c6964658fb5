package passpage

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Lang is a language of the pages, by its tag. The zero value is English.
type Lang string

// The languages.
const (
	English  Lang = "en"
	Japanese Lang = "ja"
)

// Language is the one of ours that a browser would rather read.
func Language(r *http.Request) Lang { return PreferredLanguage(r.Header["Accept-Language"]) }

// PreferredLanguage does what Language does, for the values of Accept-Language.
func PreferredLanguage(lines []string) Lang {
	best, lang := 0.0, English
	for i, one := range strings.Split(strings.Join(lines, ","), ",") {
		if i == 20 {
			break // nobody reads so many
		}
		tag, q, _ := strings.Cut(strings.ToLower(strings.TrimSpace(one)), ";q=")
		weight := 1.0
		if q != "" {
			var err error
			if weight, err = strconv.ParseFloat(strings.TrimSpace(q), 64); err != nil {
				continue
			}
		}
		primary, _, _ := strings.Cut(tag, "-")
		if known := Lang(primary); (known == English || known == Japanese) && weight > best {
			best, lang = weight, known
		}
	}
	return lang
}

// Left words how long a pass holds, for its holder.
func (l Lang) Left(until, now time.Time) string {
	left := until.Sub(now).Round(time.Minute)
	d, hours, minutes := left/(24*time.Hour), left%(24*time.Hour)/time.Hour, left%time.Hour/time.Minute
	w := l.words()
	switch {
	case left < time.Minute:
		return w.LessThanAMinute
	case d > 0:
		return fmt.Sprintf(w.DaysAndHours, d, hours)
	case hours > 0:
		return fmt.Sprintf(w.HoursAndMinutes, hours, minutes)
	}
	return fmt.Sprintf(w.Minutes, minutes)
}

// refusal is a Refusal in the language.
func (l Lang) refusal(why Refusal) *Refusal {
	w, ok := l.words().Refusals[why.Code]
	if !ok {
		return &why
	}
	name := why.Release
	if name == "" {
		name = "—"
	}
	why.Title, why.Detail = w[0], strings.ReplaceAll(w[1], "{release}", name)
	return &why
}

// words are what the pages say in one language. Verbs of fmt stand for numbers,
// {release} for a release's name.
type words struct {
	Tag                                                       string
	LookingAt, Rebuilt, HoldsUntil, ForAnother, MadeFor       string
	OnlyBelow, EverybodyGets, YouGetIt, PreviewOff            string
	OverTitle, OverText, NothingTitle                         string
	Title, Invitation, GoOn, Leave, LeaveTitle, LeaveText     string
	Held, Show, Forget, InUse, ByHeader, LivePass             string
	BadgeTitle, BadgeShown, BadgeHidden, HideBadge, ShowBadge string
	Checking, OverNow                                         string
	LessThanAMinute, DaysAndHours, HoursAndMinutes, Minutes   string
	Refusals                                                  map[string][2]string // by code; none: as it is
}

func (l Lang) words() words {
	if l == Japanese {
		return japanese()
	}
	return english()
}

func english() words {
	return words{
		Tag:       "en",
		LookingAt: "You are looking at {release}", Rebuilt: "It is shown as rebuilt last: {release}.",
		HoldsUntil: "Your pass holds until", ForAnother: ", for another %s.", MadeFor: "It was made for",
		OnlyBelow: "You see it only below", EverybodyGets: "Everybody gets", YouGetIt: "You get what everybody gets",
		PreviewOff: "The preview is off in this browser.",
		OverTitle:  "{release} is what everybody gets", OverText: "The release went live for good. You need no pass any more.",
		NothingTitle: "The pass opens nothing",
		Title:        "Preview pass",
		Invitation:   "Open the link, or scan the code, that you were given for a preview. It needs a browser with scripts; without, send the pass in the header",
		GoOn:         "Go on", Leave: "Leave the preview", LeaveTitle: "Leave the preview",
		LeaveText: "You will see what everybody sees. The pass stays valid: its link leads back.",
		Held:      "Passes in this browser", Show: "Show {release}", Forget: "Forget {release}", InUse: "shown now",
		LivePass:   "what serves: {release}",
		ByHeader:   "The pass came in the header Greenroom-Pass. Take it out of what sends your requests.",
		BadgeTitle: "Badge", BadgeShown: "A badge on the fleet's pages says what you look at.", BadgeHidden: "The badge on the fleet's pages is hidden.",
		HideBadge: "Hide the badge", ShowBadge: "Show the badge",
		Checking: "Checking the pass …", OverNow: " is what everybody gets now. You need no pass any more.",
		LessThanAMinute: "less than a minute", DaysAndHours: "%d d %d h", HoursAndMinutes: "%d h %d min", Minutes: "%d min",
	}
}

func japanese() words {
	return words{
		Tag:       "ja",
		LookingAt: "{release} を表示しています", Rebuilt: "最後に作り直した内容です: {release}。",
		HoldsUntil: "このパスの有効期限:", ForAnother: " (あと %s)", MadeFor: "発行先:",
		OnlyBelow: "次のパス以下だけがプレビューになります:", EverybodyGets: "公開中:", YouGetIt: "公開中のものを表示しています",
		PreviewOff: "このブラウザーではプレビューがオフになっています。",
		OverTitle:  "{release} は公開済みです", OverText: "このリリースは本番に切り替わりました。パスはもう必要ありません。",
		NothingTitle: "このパスでは何も表示できません",
		Title:        "プレビューパス",
		Invitation:   "受け取ったプレビューのリンクを開くか、QR コードを読み取ってください。スクリプトが動くブラウザーが必要です。使えない場合は、パスを次のヘッダーで送ってください:",
		GoOn:         "サイトへ進む", Leave: "プレビューを終了", LeaveTitle: "プレビューを終了",
		LeaveText: "公開中のものが表示されるようになります。パスは有効なままで、リンクからいつでも戻れます。",
		Held:      "このブラウザーにあるパス", Show: "{release} を表示", Forget: "{release} のパスを削除", InUse: "表示中",
		LivePass:   "公開中のもの: {release}",
		ByHeader:   "パスはヘッダー Greenroom-Pass で送られています。リクエストを送る側の設定から取り除いてください。",
		BadgeTitle: "バッジ", BadgeShown: "サイトのページに、表示中のリリースを示すバッジが出ます。", BadgeHidden: "サイトのページのバッジは非表示です。",
		HideBadge: "バッジを隠す", ShowBadge: "バッジを表示",
		Checking: "パスを確認しています…", OverNow: " は公開済みです。パスはもう必要ありません。",
		LessThanAMinute: "1 分未満", DaysAndHours: "%d 日 %d 時間", HoursAndMinutes: "%d 時間 %d 分", Minutes: "%d 分",
		Refusals: map[string][2]string{
			"pass-expired":         {"パスの有効期限が切れています", "新しいパスを発行してもらうか、プレビューを終了してください。"},
			"pass-forged":          {"このサイトのパスではありません", "ここで発行されたものではないか、途中で変更されています。新しいパスを発行してもらってください。"},
			"pass-revoked":         {"パスは取り消されました", "{release} のパスは取り消されています。新しいパスを発行してもらうか、プレビューを終了してください。"},
			"pass-unknown-release": {"パスのリリースはもうありません", "リリース {release} はなくなりました。新しいパスを発行してもらうか、プレビューを終了してください。"},
			"pass-denied":          {"パスのリリースは表示できません", "リリース {release} は準備中か、中止されたか、失敗しています。発行した人に問い合わせるか、プレビューを終了してください。"},
			"pass-missing":         {"パスがありません", "このブラウザーにはそのリリースのパスがありません。リンクをもう一度開いてください。"},
		},
	}
}

// With is a text with a release's name in it. Templates escape it.
func (words) With(text, release string) string { return strings.ReplaceAll(text, "{release}", release) }
