package main

// A question is one thing that is measured of every proxy that can carry it.
type question struct {
	Name  string
	Load  load
	Only  func(proxy) bool // all if nil
	Share float64          // of HAProxy's highest rate in the first case; 0: as fast as it goes
	Among bool             // it stands in the plot
}

// plain is the question that the goal is about: others lean on its answers.
const plain = "small GET, 64 connections"

func questions() []question {
	stamped := map[string]string{stampHeader: "r2"}
	return []question{
		{Name: plain, Load: load{Kind: http1, Path: "/", Connections: 64, Header: stamped}, Among: true},
		{Name: "small GET at 80 % of HAProxy's rate", Load: load{Kind: http1, Path: "/", Connections: 64, Header: stamped}, Share: 0.8},
		{Name: "16 KiB answers", Load: load{Kind: http1, Path: "/16k", Connections: 64}, Among: true},
		{Name: "1 MiB answers", Load: load{Kind: http1, Path: "/1m", Connections: 16}},
		{Name: "POST 4 KiB", Load: load{Kind: http1, Method: "POST", Path: "/", Body: 4 << 10, Connections: 64}, Among: true},
		{Name: "1,000 connections", Load: load{Kind: http1, Path: "/", Connections: 1000}, Among: true},
		{Name: "a connection for each request", Load: load{Kind: churn, Path: "/", Connections: 32}},
		{Name: "two hops (edge, service, mesh, service)", Load: load{Kind: http1, Path: "/hop", Connections: 32}},
		{Name: "HTTP/2 in cleartext", Load: load{Kind: http2, Path: "/grpc", Connections: 64}},
		{Name: "gRPC, unary", Load: load{Kind: grpc, Path: "/grpc", Connections: 64}},
		{Name: "WebSocket echo, 64 bytes", Load: load{Kind: websocket, Path: "/ws", Connections: 64}},
	}
}
