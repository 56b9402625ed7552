package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/web"
)

// searched answers searches with one study, as an archive does that decodes queries, or one that does not, and
// returns the queries.
func searched(t *testing.T, decodes bool, matches []web.Match) (asked []string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		w.Header().Set("Content-Type", web.TypeJSON)
		x := web.NewJSONWriter(w)
		if decodes || r.URL.RawQuery != "0020000D=%31.2.3&limit=1" {
			var d web.DataSet
			d.SetString(dicom.TagStudyInstanceUID, dicom.UI, "1.2.3")
			x.Write(d)
		}
		x.Close()
	}))
	defer server.Close()
	c, err := web.NewClient(web.ClientConfig{Base: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if _, err := c.Query(t.Context(), web.Query{Level: web.LevelStudy, Matches: matches}, func(web.DataSet) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return asked
}

func TestQueriesAsTheArchiveReadsThem(t *testing.T) {
	key := func(tag dicom.Tag, value string) web.Match { return web.Match{Path: web.Path{tag}, Value: value} }
	name, day := key(dicom.TagPatientName, "Müller^J* 山=#&%+"), key(dicom.TagStudyDate, "2026 1121")
	try := []string{"limit=1", "0020000D=%31.2.3&limit=1"}
	for what, c := range map[string]struct {
		decodes bool
		matches []web.Match
		learns  bool
		want    string
	}{
		"nothing to escape": {false, []web.Match{key(dicom.TagPatientID, "A*?,:1")}, false, "00100020=A*?,:1"},
		"one that decodes":  {true, []web.Match{name}, true, "00100010=M%C3%BCller%5EJ*%20%E5%B1%B1%3D%23%26%25%2B"},
		"one that does not": {false, []web.Match{name, day}, true, "00100010=M*ller^J*?*=????&00080020=2026%201121"},
	} {
		want := []string{c.want, c.want}
		if c.learns {
			want = append(slices.Clone(try), want...) // once
		}
		if got := searched(t, c.decodes, c.matches); !slices.Equal(got, want) {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A key that had to become wider brings nobody else's matches.
func TestWiderKeysBringNoMore(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", web.TypeJSON)
		x := web.NewJSONWriter(w)
		if r.URL.RawQuery != "0020000D=%31.2.3&limit=1" {
			for _, name := range []string{"Müller^Jörg", "MÜLLER^JANA", "Meyer^Jörg", "Yamada^Tarou=山田^太郎=やまだ^たろう", ""} {
				var d web.DataSet
				d.SetString(dicom.TagPatientName, dicom.PN, name)
				d.SetString(dicom.TagStudyInstanceUID, dicom.UI, "1.2.3")
				x.Write(d)
			}
		}
		x.Close()
	}))
	defer server.Close()
	c, err := web.NewClient(web.ClientConfig{Base: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for value, want := range map[string]int{"müller*": 2, "Müller^Jörg": 1, "M?ller^J*ö*": 1, "山田*": 1, "*^太*": 1, "Yamada^Tarou=山田^太郎=やまだ^たろう": 1, "ö": 0, "*ö*": 2, "Ärger": 0, "ASCII": 5} {
		n := 0
		q := web.Query{Level: web.LevelStudy, Matches: []web.Match{{Path: web.Path{dicom.TagPatientName}, Value: value}}}
		if _, err := c.Query(t.Context(), q, func(web.DataSet) error { n++; return nil }); err != nil || n != want {
			t.Errorf("%s: %d, %v", value, n, err)
		}
	}
}

// While it is found out how an archive reads queries, nobody waits longer than they
// like, and it is asked once for all.
func TestAnArchiveIsTriedOutOnce(t *testing.T) {
	var asked atomic.Int32
	answer := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-answer
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	c, err := web.NewClient(web.ClientConfig{Base: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	search := func(ctx context.Context) error {
		q := web.Query{Level: web.LevelStudy, Matches: []web.Match{{Path: web.Path{dicom.TagPatientName}, Value: "a#b"}}}
		_, err := c.Query(ctx, q, func(web.DataSet) error { return nil })
		return err
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := search(t.Context()); !errors.Is(err, web.ErrAway) {
				t.Errorf("%v", err)
			}
		})
	}
	for asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := search(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	close(answer)
	all.Wait()
	if n := asked.Load(); n > 3 { // one, but for who comes late
		t.Errorf("asked %d times", n)
	}
}
