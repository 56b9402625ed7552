package interop

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// phantom is a head in ten ellipses, each with its brightness, half axes, centre and angle (L. A. Shepp and B. F. Logan,
// 1974, with the contrast of P. A. Toft).
var phantom = [][6]float64{
	{1, 0.69, 0.92, 0, 0, 0}, {-0.8, 0.6624, 0.874, 0, -0.0184, 0}, {-0.2, 0.11, 0.31, 0.22, 0, -18}, {-0.2, 0.16, 0.41, -0.22, 0, 18},
	{0.1, 0.21, 0.25, 0, 0.35, 0}, {0.1, 0.046, 0.046, 0, 0.1, 0}, {0.1, 0.046, 0.046, 0, -0.1, 0}, {0.1, 0.046, 0.023, -0.08, -0.605, 0},
	{0.1, 0.023, 0.023, 0, -0.606, 0}, {0.1, 0.023, 0.046, 0.06, -0.605, 0},
}

// slice draws the phantom, smaller the farther from the middle it is cut.
func slice(size int, far float64) []uint16 {
	pixels := make([]uint16, size*size)
	for i := range pixels {
		x, y := 2*float64(i%size)/float64(size)-1, 1-2*float64(i/size)/float64(size)
		value := 0.0
		for _, e := range phantom {
			if inEllipse(x/(1-far), y/(1-far), e) {
				value += e[0]
			}
		}
		pixels[i] = uint16(2000 * value)
	}
	return pixels
}

func inEllipse(x, y float64, e [6]float64) bool {
	sin, cos := math.Sincos(e[5] * math.Pi / 180)
	dx, dy := x-e[3], y-e[4]
	a, b := (dx*cos+dy*sin)/e[1], (dy*cos-dx*sin)/e[2]
	return a*a+b*b <= 1
}

// headStudy is a study of the phantom, as files; what is at hidden holds a program.
func headStudy(t *testing.T, images, hidden int) (study dicom.UID, files []string) {
	t.Helper()
	dir := t.TempDir()
	study = compose.NewUID()
	series, frame := compose.NewUID(), compose.NewUID()
	for i := range images {
		o := compose.CT(256, 256)
		o.Study, o.Series, o.InstanceNumber = study, series, i+1
		o.SetPixels(slice(256, 0.05*float64(i)))
		o.SetString(0x00200032, dicom.DS, "0", "0", fmt.Sprint(5*i))
		o.SetString(0x00200037, dicom.DS, "1", "0", "0", "0", "1", "0")
		o.SetString(0x00200052, dicom.UI, string(frame))
		o.SetString(0x00280030, dicom.DS, "1", "1")
		if i == hidden {
			compose.PrivateOB.Put(o, compose.WindowsProgram())
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.dcm", i))
		write(t, file, string(o.File()))
		files = append(files, file)
	}
	return study, files
}

// startWebArchive starts an Orthanc with DICOMweb, with the files in it.
func startWebArchive(t *testing.T, files []string) *peer {
	t.Helper()
	p := startOrthanc(t, map[string]any{
		"Plugins": []string{"/usr/share/orthanc/plugins/libOrthancDicomWeb.so"}, "DicomWeb": map[string]any{"Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
	})
	if len(files) > 0 {
		run(t, "storescu", append([]string{"-aet", "CT1", "-aec", string(p.AETitle), p.Host, p.Port}, files...)...)
	}
	return p
}

// startWebCordon starts a Cordon with DICOMweb in front of an archive, for pages from a port of this machine.
func startWebCordon(t *testing.T, archive *peer, page int) (c *cordon, base string) {
	t.Helper()
	c = newCordon(t, nil)
	listen := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
	write(t, c.config, fmt.Sprintf(`data: %s
gateway:
  listen: '%s'
  web: {listen: '%s', cors: ['http://127.0.0.1:%d']}
console: {listen: '%s'}
archives: [{name: pacs, ae_title: %s, address: '%s', dicomweb: '%s/dicom-web'}]
`, c.Dir, c.Address, listen, page, strings.TrimPrefix(c.Console, "http://"), archive.AETitle, archive.Address, archive.HTTP))
	c.start(t)
	return c, "http://" + listen + "/dicom-web"
}

// browse has Chromium show a page of testdata/web and returns what the page has seen.
func browse[T any](t *testing.T, page string, port int, archive *peer, files []string, picture string, query map[string]string) T {
	t.Helper()
	dir, err := webDir()
	if err != nil {
		t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v (Debian's package chromium; make peers installs it)", err)
	}
	ask, err := json.Marshal(map[string]any{
		"page": page, "port": port, "archive": archive.HTTP + "/dicom-web", "files": files, "picture": picture, "query": query, "chromium": chromium,
	})
	if err != nil {
		t.Fatal(err)
	}
	var seen T
	if err := json.Unmarshal([]byte(run(t, "node", filepath.Join(dir, "browser.js"), string(ask))), &seen); err != nil {
		t.Fatal(err)
	}
	return seen
}

// viewed is what a page with dwv has seen.
type viewed struct {
	Rows     int      // instances that the archive lists
	Missing  [][2]any // of these, by number, and why
	Pictures []string // digests of the others, as they are shown
}

// TestViewerShowsThroughCordonWhatItShowsWithout: an unmodified dwv in Chromium draws each image of a study through
// Cordon as it does directly, to the pixel; one that is held is a gap with a reason. VIEWER_PICTURE=FILE keeps what it
// looks like.
func TestViewerShowsThroughCordonWhatItShowsWithout(t *testing.T) {
	const images, hidden = 6, 3
	study, files := headStudy(t, images, hidden)
	archive := startWebArchive(t, files) // it was there before Cordon was
	page := ports.Free(t)
	c, base := startWebCordon(t, archive, page)
	show := func(base, title, picture string) viewed {
		return browse[viewed](t, "viewer.html", page, archive, nil, picture, map[string]string{"base": base, "study": string(study), "title": title})
	}
	direct := show(fmt.Sprintf("http://127.0.0.1:%d/archive", page), "directly", "")
	through := show(base, "through Cordon", os.Getenv("VIEWER_PICTURE"))

	if direct.Rows != images || len(direct.Missing) != 0 || len(direct.Pictures) != images {
		t.Fatalf("directly: %+v", direct)
	}
	if different := len(slices.Compact(slices.Sorted(slices.Values(direct.Pictures)))); different != images {
		t.Fatalf("%d of %d pictures differ: nothing is compared", different, images)
	}
	if want := slices.Delete(slices.Clone(direct.Pictures), hidden, hidden+1); !slices.Equal(through.Pictures, want) {
		t.Errorf("through Cordon: pictures %q, want %q", through.Pictures, want)
	}
	if through.Rows != images || len(through.Missing) != 1 || through.Missing[0][0] != float64(hidden+1) {
		t.Fatalf("through Cordon: %+v", through)
	}
	if why := fmt.Sprint(through.Missing[0][1]); !strings.Contains(why, "403") || !strings.Contains(why, "held") {
		t.Errorf("the viewer is told %q", why)
	}
	if held := c.held(t); len(held) != 1 {
		t.Errorf("the vault has %v", held)
	}
}

// TestWebClientGetsThroughCordonWhatItGetsWithout: an unmodified dicomweb-client in Chromium stores a study, searches
// and retrieves it, with the same answers through Cordon as directly.
func TestWebClientGetsThroughCordonWhatItGetsWithout(t *testing.T) {
	study, files := headStudy(t, 3, -1)
	answers := func(through bool) map[string][]string {
		archive, page := startWebArchive(t, nil), ports.Free(t)
		base := fmt.Sprintf("http://127.0.0.1:%d/archive", page)
		if through {
			_, base = startWebCordon(t, archive, page)
		}
		return browse[map[string][]string](t, "client.html", page, archive, files, "", map[string]string{
			"base": base, "study": string(study), "count": fmt.Sprint(len(files)),
		})
	}
	direct, through := answers(false), answers(true)
	if len(direct) != 15 || !strings.HasPrefix(direct["store"][0], "stored 2.25.") || len(direct["study"]) != len(files) {
		t.Fatalf("directly: %q", direct)
	}
	for what, want := range direct {
		if !slices.Equal(through[what], want) {
			t.Errorf("%s: through Cordon\n%q\ndirectly\n%q", what, through[what], want)
		}
	}
}
