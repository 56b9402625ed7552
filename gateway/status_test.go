package gateway

import (
	"context"
	"testing"

	"cordon/policy"
)

// Objects were acknowledged for an archive that the configuration has lost since: they are not passed over in silence.
func TestForgottenArchiveIsListed(t *testing.T) {
	h := start(t)
	h.archive.down()
	if rsp := send(t, h.modality(), newImage(t, nil)); rsp.Status != 0 {
		t.Fatalf("status %04X", uint16(rsp.Status))
	}
	h.stop()
	renamed := config(h.archive.address, func(c *Config) {
		c.Site.Archives = []policy.Archive{{Name: "new", AETitle: "PACS"}}
		c.Upstreams[0].Name = "new"
	})
	st, err := open(t, h.dir, renamed).gateway.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Archives) != 2 {
		t.Fatalf("archives: %+v", st.Archives)
	}
	if a := st.Archives[1]; a.Name != "pacs" || a.Up || a.Address != "" || a.Queued != 1 || a.OldestQueued == nil {
		t.Errorf("the forgotten archive: %+v", a)
	}
}
