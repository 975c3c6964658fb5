package stage

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// troupe is a keeper, the instances that ask it, and all that is on its way
// between them. Time stands but for the action that moves it.
type troupe struct {
	keeper  *Keeper
	now     time.Time
	epoch   uint64
	serves  string
	former  string
	down    bool
	players []*player
	late    []request // given up by who asked, and still on its way to the keeper
}

// player is an instance that keeps the protocol.
type player struct {
	version, name string
	stays         bool // beyond its lease, while greenroom does not answer
	held          uint64
	until         time.Time // its lease as it counts it
	leaving       bool      // was told that it is off stage
	names         int
	asking        *request
	answer        *Answer // on its way back
}

type request struct {
	player *player
	name   string
	held   uint64
	leave  bool
	sent   time.Time
}

// working says whether the player may touch the queue.
func (p *player) working(now time.Time) bool {
	return p.held > 0 && (p.stays || now.Before(p.until))
}

func newTroupe() *troupe {
	tr := &troupe{keeper: New(span, time.Time{}), now: start}
	for i, version := range []string{"v1", "v1", "v2", "v2", "v3", "v3"} {
		p := &player{version: version, stays: i%2 == 0}
		p.rename(i)
		tr.players = append(tr.players, p)
	}
	tr.switchTo("v1")
	return tr
}

func (p *player) rename(i int) {
	p.names++
	p.name = fmt.Sprintf("%s-%d.%d", p.version, i, p.names)
}

func (tr *troupe) tell(epoch uint64, version string) {
	if epoch == 0 {
		return
	}
	if err := tr.keeper.Switch(epoch, fmt.Sprint("r", epoch), map[string]string{"gift": version}); err != nil {
		panic(err)
	}
}

func (tr *troupe) switchTo(version string) {
	tr.epoch++
	tr.former, tr.serves = tr.serves, version
	tr.tell(tr.epoch, version)
}

// send has a player ask, or leave, if it waits for no answer.
func (tr *troupe) send(p *player, leave bool) {
	if p.asking != nil {
		return
	}
	p.asking = &request{player: p, name: p.name, held: p.held, leave: leave, sent: tr.now}
	if leave {
		p.held = 0 // its work has ended
	}
}

// arrive has a question reach the keeper.
func (tr *troupe) arrive(r request) Answer {
	return tr.keeper.Ask("gift", r.player.version, r.name, r.held, r.leave, tr.now)
}

// receive has the answer reach who asked.
func (tr *troupe) receive(p *player) {
	r, a := p.asking, p.answer
	p.asking, p.answer = nil, nil
	switch {
	case r.leave:
		p.leaving = false
	case a.OnStage && tr.now.Before(r.sent.Add(span)):
		if !p.leaving {
			p.held, p.until = a.Epoch, r.sent.Add(span)
		}
	case !a.OnStage && p.held > 0:
		p.leaving = true
		if p.stays { // and goes on asking
			p.until = r.sent.Add(span)
		}
	}
}

// giveUp has a player wait no longer; what it asked may arrive all the same.
func (tr *troupe) giveUp(p *player, i int) {
	if p.answer == nil {
		tr.late = append(tr.late, *p.asking)
	}
	if p.asking.leave {
		p.leaving = false
		p.rename(i)
	}
	p.asking, p.answer = nil, nil
}

// advance moves the clock. Who stays beyond its lease asks in time, if
// greenroom is up to be asked.
func (tr *troupe) advance(d time.Duration) {
	for ; d > span/3; d -= span / 3 {
		tr.step(span / 3)
	}
	tr.step(d)
}

func (tr *troupe) step(d time.Duration) {
	end := tr.now.Add(d)
	for i, p := range tr.players {
		if tr.down || !p.stays || p.held == 0 || end.Before(p.until) {
			continue
		}
		if p.asking != nil {
			tr.giveUp(p, i)
		}
		if p.held == 0 {
			continue
		}
		tr.send(p, false)
		a := tr.arrive(*p.asking)
		p.answer = &a
		tr.receive(p)
	}
	tr.now = end
	for _, p := range tr.players {
		if p.held > 0 && !p.working(tr.now) { // it noticed by its own clock
			p.held, p.leaving = 0, false
		}
	}
}

// restart begins with a keeper that knows what is persisted: the present view
// and the former.
func (tr *troupe) restart(tellFormer bool) {
	tr.keeper = New(span, tr.now.Add(span))
	if tellFormer && tr.former != "" {
		tr.tell(tr.epoch-1, tr.former)
	}
	tr.tell(tr.epoch, tr.serves)
	tr.down = false
	for _, p := range tr.players {
		if p.stays && p.held > 0 {
			p.until = tr.now.Add(span)
		}
	}
}

func (tr *troupe) check(t *rapid.T) {
	working := ""
	for _, p := range tr.players {
		if !p.working(tr.now) {
			continue
		}
		if working != "" && working != p.version {
			t.Fatalf("%s and %s work at the same time", working, p.version)
		}
		working = p.version
	}
}

func TestNeverTwoVersionsOnStage(t *testing.T) {
	admissions := 0
	for range 10 { // a hundred runs each: the rarest faults need several hundred
		rapid.Check(t, func(t *rapid.T) { improvise(t, &admissions) })
	}
	if admissions == 0 {
		t.Error("nobody was ever admitted")
	}
}

// improvise plays one run of random actions.
func improvise(t *rapid.T, admissions *int) {
	tr := newTroupe()
	pick := rapid.IntRange(0, len(tr.players)-1)
	with := func(action func(i int, p *player)) func(*rapid.T) {
		return func(t *rapid.T) {
			i := pick.Draw(t, "player")
			action(i, tr.players[i])
		}
	}
	arrive := func(_ int, p *player) {
		if p.asking != nil && p.answer == nil && !tr.down {
			a := tr.arrive(*p.asking)
			p.answer = &a
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"":       tr.check,
		"send":   with(func(_ int, p *player) { tr.send(p, false) }),
		"arrive": with(arrive),
		"receive": with(func(_ int, p *player) {
			if p.answer != nil {
				tr.receive(p)
			}
		}),
		"ask": with(func(i int, p *player) {
			tr.send(p, false)
			arrive(i, p)
			if p.answer != nil {
				tr.receive(p)
			}
			if p.working(tr.now) {
				*admissions++
			}
		}),
		"leave": with(func(_ int, p *player) {
			if p.leaving {
				tr.send(p, true)
			}
		}),
		"give up": with(func(i int, p *player) {
			if p.asking != nil {
				tr.giveUp(p, i)
			}
		}),
		"late": func(t *rapid.T) {
			if len(tr.late) > 0 && !tr.down {
				i := rapid.IntRange(0, len(tr.late)-1).Draw(t, "late")
				tr.arrive(tr.late[i])
				tr.late = append(tr.late[:i], tr.late[i+1:]...)
			}
		},
		"switch": func(t *rapid.T) {
			if !tr.down {
				tr.switchTo(rapid.SampledFrom([]string{"v1", "v2", "v3"}).Draw(t, "version"))
			}
		},
		"advance": func(t *rapid.T) {
			tr.advance(time.Duration(rapid.Int64Range(1, int64(2*span)).Draw(t, "by")))
		},
		"crash": func(t *rapid.T) { tr.down = true },
		"restart": func(t *rapid.T) {
			if tr.down {
				tr.restart(rapid.Bool().Draw(t, "tell former"))
			}
		},
	})
	tr.curtain(t)
}

// curtain ends a run: when everybody who has to leave has left or ended, what
// serves is admitted.
func (tr *troupe) curtain(t *rapid.T) {
	if tr.down {
		tr.restart(false)
	}
	for _, p := range tr.players {
		p.held, p.asking, p.answer = 0, nil, nil
	}
	tr.now = tr.now.Add(2 * span)
	a := tr.keeper.Ask("gift", tr.serves, "last", 0, false, tr.now)
	if !a.OnStage || a.Epoch != tr.epoch {
		t.Fatalf("%s serves and nobody else is left, but: %+v", tr.serves, a)
	}
}
