// Package chat is the demo fleet's chat: messages over WebSocket, their history
// over HTTP.
//
// It owns the room. Both versions may serve at once, so what is said is kept
// outside of either and both read it; a connection stays with the version that
// it was opened on until it ends, or until that version leaves and says so with
// close code 1001. It calls nobody and needs nothing of greenroom. Start at Run.
package chat

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
)

// Frame is what travels over the socket, both ways, as JSON text. A client sends
// message and ping; the server sends hello first, then message to all, and pong
// to who sent the ping.
type Frame struct {
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"` // message: who says it, 40 bytes at most
	Text    string `json:"text,omitempty"` // message, ping, pong; 500 bytes at most
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"` // hello, pong: the trail
}

const (
	maxFrame = 4 << 10 // bytes
	patience = 5 * time.Second
)

// Run serves the chat until ctx ends, and closes the connections then.
func Run(ctx context.Context, p boot.Process) error {
	path, err := p.DataFile("chat.jsonl")
	if err != nil {
		return err
	}
	room, err := openRoom(path)
	if err != nil {
		return err
	}
	defer room.close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		room.follow(ctx, p.Log)
	}()
	s := &server{process: p, room: room, stopping: ctx}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat/ws", s.socket)
	mux.HandleFunc("GET /chat/history", s.history)
	err = p.ServeHTTP(ctx, mux, nil)
	cancel()
	room.leave() // http.Server does not wait for sockets
	<-followed
	return err
}

type server struct {
	process  boot.Process
	room     *room
	stopping context.Context
}

func (s *server) history(w http.ResponseWriter, _ *http.Request) {
	messages, err := s.room.history()
	if err != nil {
		trail.WriteJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	trail.Mark(w.Header(), trail.Trail{s.process.Hop()}, false)
	trail.WriteJSON(w, http.StatusOK, messages)
}

func (s *server) socket(w http.ResponseWriter, r *http.Request) {
	guest, ok := s.room.enter()
	if !ok {
		http.Error(w, "the chat is closing", http.StatusServiceUnavailable)
		return
	}
	defer s.room.exit(guest)
	path := trail.Trail{s.process.Hop()}
	trail.Mark(w.Header(), path, false)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OriginPatterns: []string{"*"}, // anybody may join: the room is public and no cookie counts here
	})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)

	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	guest.send(Frame{Kind: "hello", Version: s.process.Version, Path: path.String()})
	read := make(chan error, 1)
	go func() { read <- s.listen(ctx, conn, guest, path.String()) }()
	s.talk(ctx, conn, guest, read)
}

// talk writes what the guest is to hear, until the guest leaves, falls behind,
// or this version does.
func (s *server) talk(ctx context.Context, conn *websocket.Conn, guest *guest, read <-chan error) {
	for {
		select {
		case frame := <-guest.hears:
			if err := write(ctx, conn, frame); err != nil {
				return
			}
		case <-guest.behind:
			_ = conn.Close(websocket.StatusPolicyViolation, "too slow to follow the chat")
			return
		case <-read: // Read has answered a close with a close
			return
		case <-s.stopping.Done():
			_ = conn.Close(websocket.StatusGoingAway, "chat "+s.process.Version+" is leaving, connect again")
			return
		}
	}
}

func write(ctx context.Context, conn *websocket.Conn, frame Frame) error {
	body, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, body)
}

// listen reads what the guest says.
func (s *server) listen(ctx context.Context, conn *websocket.Conn, guest *guest, path string) error {
	for {
		_, body, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var frame Frame
		if err := json.Unmarshal(body, &frame); err != nil {
			return conn.Close(websocket.StatusUnsupportedData, "a frame is JSON")
		}
		switch frame.Kind {
		case "ping":
			guest.send(Frame{Kind: "pong", Text: clip(frame.Text, 500), Version: s.process.Version, Path: path})
		case "message":
			m := Message{Name: clip(strings.TrimSpace(frame.Name), 40), Text: clip(strings.TrimSpace(frame.Text), 500), Version: s.process.Version, At: time.Now().UTC()}
			if m.Name == "" || m.Text == "" {
				continue
			}
			if err := s.room.say(m); err != nil {
				s.process.Log.Error("a message is lost", "error", err)
				return conn.Close(websocket.StatusInternalError, "the message could not be kept")
			}
		}
	}
}

// clip shortens s to n bytes, at the boundary of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
