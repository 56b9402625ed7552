package browser

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The measures measure: a page that breaks rules, asks elsewhere and fails is seen to.
func TestWrongPageIsSeenToBeWrong(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<html><body><img src="` + other.URL + `/x.png"><input><p style="color:#ccc;background:#fff">faint</p><script>throw new Error("broken")</script></body></html>`))
	}))
	defer s.Close()
	p := Open(t).Page(Desktop)
	if status := p.Goto(s.URL); status != http.StatusOK {
		t.Error(status)
	}
	found := map[string]bool{}
	for _, v := range p.Axe() {
		found[v.ID] = true
	}
	for _, rule := range []string{"image-alt", "label", "color-contrast", "html-has-lang"} {
		if !found[rule] {
			t.Errorf("%s is not seen; seen are %v", rule, found)
		}
	}
	if seen := p.Seen(); len(seen.Errors) == 0 || len(seen.Foreign) == 0 || seen.Bytes == 0 {
		t.Errorf("%+v", seen)
	}
}
