package sdk_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/francis-actors/francis/sdk"
)

// Every limit of the server is set, and it speaks what clients do.
func TestNewServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config = sdk.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Spoken", r.Proto) }))
	s, h := server.Config, server.Config.HTTP2
	if s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout != 2*time.Minute || s.MaxHeaderBytes != 16<<10 || s.ConnState == nil {
		t.Errorf("the server has the limits %+v", s)
	}
	if h.MaxConcurrentStreams != 100 || h.WriteByteTimeout != 10*time.Second || h.SendPingTimeout == 0 || h.PingTimeout == 0 || h.MaxReceiveBufferPerConnection != 1<<20 {
		t.Errorf("HTTP/2 has the limits %+v", h)
	}
	if s.ReadTimeout != 0 || s.WriteTimeout != 0 {
		t.Error("the time of a turn counts")
	}
	server.Start()
	t.Cleanup(server.Close)
	for want, protocols := range map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2.0": func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		var p http.Protocols
		protocols(&p)
		transport := &http.Transport{Protocols: &p}
		t.Cleanup(transport.CloseIdleConnections)
		res, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Spoken"); got != want {
			t.Errorf("it speaks %q to a client of %s", got, want)
		}
	}
}
