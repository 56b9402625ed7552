package preview_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/inspect"
	"cordon/inspect/compose"
	"cordon/preview"
)

// picture is an image under construction: 4 columns and 2 rows unless it says more.
func picture(photometric string, samples, allocated int, pixels []byte) *compose.Object {
	o := compose.New(dicom.SecondaryCaptureImageStorage)
	o.SetString(dicom.TagPhotometricInterpretation, dicom.CS, photometric)
	o.SetUint16(dicom.TagSamplesPerPixel, uint16(samples))
	o.SetUint16(dicom.TagRows, 2)
	o.SetUint16(dicom.TagColumns, 4)
	o.SetUint16(dicom.TagBitsAllocated, uint16(allocated))
	o.SetUint16(dicom.TagBitsStored, uint16(allocated))
	o.SetUint16(dicom.TagHighBit, uint16(allocated-1))
	o.SetUint16(dicom.TagPixelRepresentation, 0)
	o.Set(dicom.TagPixelData, dicom.OB, pixels)
	return o
}

func frame(t *testing.T, o *compose.Object, n int) (preview.Frame, error) {
	t.Helper()
	file := o.File()
	return preview.New(preview.Limits{}).Frame(t.Context(), bytes.NewReader(file), preview.Object{Size: int64(len(file))}, n)
}

func seen(t *testing.T, f preview.Frame) image.Image {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(f.PNG))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// greys are the picture's values, row by row.
func greys(m image.Image) (out []int) {
	b := m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			out = append(out, int(color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y))
		}
	}
	return out
}

func words(vs ...uint16) (out []byte) {
	for _, v := range vs {
		out = binary.LittleEndian.AppendUint16(out, v)
	}
	return out
}

func TestGreyIsShownAsItWasMeant(t *testing.T) {
	ramp := []byte{0, 36, 73, 109, 146, 182, 219, 255}
	wide := words(0, 36*256, 73*256, 109*256, 146*256, 182*256, 219*256, 65535)
	for _, c := range []struct {
		name string
		of   func() *compose.Object
		want []int
	}{
		{"8 bits", func() *compose.Object { return picture("MONOCHROME2", 1, 8, ramp) }, []int{0, 36, 73, 109, 146, 182, 219, 255}},
		{"inverted", func() *compose.Object { return picture("MONOCHROME1", 1, 8, ramp) }, []int{255, 219, 182, 146, 109, 73, 36, 0}},
		{"16 bits", func() *compose.Object { return picture("MONOCHROME2", 1, 16, wide) }, []int{0, 36, 73, 109, 145, 181, 218, 255}},
		{"signed", func() *compose.Object {
			o := picture("MONOCHROME2", 1, 16, words(0xFF81, 0, 0x7F, 0x80, 0xFF81, 0, 0x7F, 0x80)) // -127, 0, 127, 128
			o.SetUint16(dicom.TagPixelRepresentation, 1)
			return o
		}, []int{0, 127, 254, 255, 0, 127, 254, 255}},
		{"12 bits, what is above masked", func() *compose.Object {
			o := picture("MONOCHROME2", 1, 16, words(0xF000, 0x0FFF, 0x1800, 0, 0, 0, 0, 0))
			o.SetUint16(dicom.TagBitsStored, 12)
			o.SetUint16(dicom.TagHighBit, 11)
			return o
		}, []int{0, 255, 128, 0, 0, 0, 0, 0}},
		{"window", func() *compose.Object {
			o := picture("MONOCHROME2", 1, 8, []byte{0, 99, 100, 101, 200, 50, 150, 255})
			o.SetString(0x00281050, dicom.DS, "100.5", "7")
			o.SetString(0x00281051, dicom.DS, "3", "7")
			return o
		}, []int{0, 0, 128, 255, 255, 0, 255, 255}},
		{"rescale before the window", func() *compose.Object {
			o := picture("MONOCHROME2", 1, 8, []byte{0, 100, 200, 255, 0, 0, 0, 0})
			o.SetString(0x00281052, dicom.DS, "-1000")
			o.SetString(0x00281053, dicom.DS, "10")
			o.SetString(0x00281050, dicom.DS, "0.5")
			o.SetString(0x00281051, dicom.DS, "2001")
			return o
		}, []int{0, 128, 255, 255, 0, 0, 0, 0}},
		{"modality LUT", func() *compose.Object {
			o := picture("MONOCHROME2", 1, 8, []byte{0, 1, 2, 3, 0, 1, 2, 3})
			o.SetFunc(0x00283000, func(w *dicom.Writer) {
				w.BeginSequence(0x00283000, dicom.Undefined)
				w.BeginItem(dicom.Undefined)
				w.Element(dicom.TagLUTDescriptor, dicom.US, words(4, 0, 16))
				w.Element(dicom.TagLUTData, dicom.OW, words(1000, 0, 500, 250))
				w.EndItem()
				w.EndSequence()
			})
			return o
		}, []int{255, 0, 128, 64, 255, 0, 128, 64}},
		{"one value alone", func() *compose.Object { return picture("MONOCHROME2", 1, 8, make([]byte, 8)) }, []int{128, 128, 128, 128, 128, 128, 128, 128}},
		{"the first row alone", func() *compose.Object { return picture("MONOCHROME2", 1, 8, []byte{0, 85, 170, 255}) }, []int{0, 85, 170, 255, 0, 0, 0, 0}},
		{"big endian", func() *compose.Object {
			o := picture("MONOCHROME2", 1, 16, nil)
			o.TransferSyntax = dicom.ExplicitVRBigEndian
			o.Set(dicom.TagPixelData, dicom.OW, []byte{0, 0, 0, 85, 0, 170, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0})
			return o
		}, []int{0, 85, 170, 255, 0, 0, 0, 0}},
	} {
		f, err := frame(t, c.of(), 0)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := greys(seen(t, f)); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestColoursAreShown(t *testing.T) {
	red, green, blue, white := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}, color.RGBA{255, 255, 255, 255}
	palette := picture("PALETTE COLOR", 1, 8, []byte{10, 11, 12, 13, 10, 11, 12, 99})
	for i, values := range [][]uint16{{0xFF00, 0, 0, 0xFF00}, {0, 0xFF00, 0, 0xFF00}, {0, 0, 0xFF00, 0xFF00}} {
		palette.SetUint16(0x00281101+dicom.Tag(i), 4, 10, 16)
		palette.Set(0x00281201+dicom.Tag(i), dicom.OW, words(values...))
	}
	planar := picture("RGB", 3, 8, []byte{255, 0, 0, 255, 255, 0, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 0, 0, 255, 255})
	planar.SetUint16(dicom.TagPlanarConfiguration, 1)
	pixel := []byte{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}
	ybr := picture("YBR_FULL", 3, 8, bytes.Repeat([]byte{76, 85, 255, 150, 44, 21, 29, 255, 107, 255, 128, 128}, 2))
	for name, o := range map[string]*compose.Object{
		"palette": palette, "planes": planar, "YBR_FULL": ybr,
		"pixel by pixel": picture("RGB", 3, 8, append(bytes.Clone(pixel), pixel...)),
	} {
		f, err := frame(t, o, 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := seen(t, f)
		for x, want := range []color.RGBA{red, green, blue, white} {
			r, g, b, _ := m.At(x, 0).RGBA()
			if far(r>>8, want.R) || far(g>>8, want.G) || far(b>>8, want.B) {
				t.Errorf("%s: pixel %d is %d %d %d, want %v", name, x, r>>8, g>>8, b>>8, want)
			}
		}
	}
}

func far(got uint32, want uint8) bool { return max(got, uint32(want))-min(got, uint32(want)) > 2 }

func TestRLEIsDecoded(t *testing.T) {
	header := make([]byte, 64)
	binary.LittleEndian.PutUint32(header, 2)
	binary.LittleEndian.PutUint32(header[4:], 64)
	binary.LittleEndian.PutUint32(header[8:], 64+2)
	high, low := []byte{0xF9, 0}, []byte{0x80, 3, 0, 85, 170, 255, 0xFD, 0} // 8 zeros; nothing, 4 as they are, 4 zeros
	o := picture("MONOCHROME2", 1, 16, nil)
	o.TransferSyntax = dicom.RLELossless
	body := append(append(bytes.Clone(header), high...), low...)
	o.SetFragments(nil, body)
	f, err := frame(t, o, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(greys(seen(t, f))); got != "[0 85 170 255 0 0 0 0]" {
		t.Error(got)
	}
	for name, cut := range map[string][]byte{"a segment that ends": body[:len(body)-3], "a header that points away": append(bytes.Clone(header[:8]), bytes.Repeat([]byte{0xFF}, 80)...)} {
		o.SetFragments(nil, cut)
		if f, err := frame(t, o, 0); !isNone(err) {
			t.Errorf("%s: %v %v", name, f.Width, err)
		}
	}
}

func isNone(err error) bool {
	var none *preview.None
	return errors.As(err, &none) && strings.HasPrefix(err.Error(), "no preview, because ")
}

// coded is a JPEG image of a size, grey to the left and white to the right.
func coded(t *testing.T, columns, rows int) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, columns, rows))
	for i := range m.Pix {
		if i%columns > columns/2 {
			m.Pix[i] = 255
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func jpegObject(columns, rows uint16, fragments ...[]byte) *compose.Object {
	o := picture("MONOCHROME2", 1, 8, nil)
	o.TransferSyntax = dicom.JPEGBaseline8Bit
	o.SetUint16(dicom.TagColumns, columns)
	o.SetUint16(dicom.TagRows, rows)
	o.SetFragments(nil, fragments...)
	return o
}

func TestBaselineJPEGIsDecoded(t *testing.T) {
	body := coded(t, 1600, 400)
	o := jpegObject(1600, 400, body[:100], body[100:]) // one frame in two fragments
	f, err := frame(t, o, 0)
	if err != nil || f.Width != 512 || f.Height != 128 || f.Columns != 1600 {
		t.Fatalf("%d %d %v", f.Width, f.Height, err)
	}
	m := seen(t, f)
	if l, r := color.GrayModel.Convert(m.At(10, 60)).(color.Gray).Y, color.GrayModel.Convert(m.At(500, 60)).(color.Gray).Y; l > 3 || r < 252 {
		t.Error(l, r)
	}
	several := jpegObject(1600, 400, coded(t, 1600, 400), coded(t, 1600, 400))
	several.SetString(dicom.TagNumberOfFrames, dicom.IS, "2")
	if f, err := frame(t, several, 1); err != nil || f.Number != 1 || f.Of != 2 {
		t.Error(f.Number, f.Of, err)
	}
}

func TestJPEGThatIsNotWhatItSaysIsNotDecoded(t *testing.T) {
	good := coded(t, 64, 64)
	sof := bytes.Index(good, []byte{0xFF, 0xC0})
	scan := bytes.Index(good, []byte{0xFF, 0xDA})
	with := func(at int, b ...byte) []byte { out := bytes.Clone(good); copy(out[at:], b); return out }
	for _, c := range []struct {
		name string
		body []byte
		says string
	}{
		{"larger than the object says", with(sof+5, 0xFF, 0xFF, 0xFF, 0xFF), "65535 rows and 65535 columns"},
		{"progressive", with(sof, 0xFF, 0xC2), "not baseline"},
		{"lossless", with(sof, 0xFF, 0xC3), "not baseline"},
		{"three components", with(sof+9, 3), "3 components"},
		{"many scans", append(bytes.Clone(good[:len(good)-2]), bytes.Repeat(good[scan:len(good)-2], 50)...), "51 scans"},
		{"no scan", good[:scan], "0 scans"},
		{"cut short", good[:scan+14], "cannot be decoded"},
		{"two frame headers", append(bytes.Clone(good[:scan]), append(good[sof:scan:scan], good[scan:]...)...), "2 frame headers"},
	} {
		if _, err := frame(t, jpegObject(64, 64, c.body), 0); !isNone(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWhatIsNotShownSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name string
		of   *compose.Object
		n    int
		says string
	}{
		{"no pixels", compose.Document(), 0, "no pixel data"},
		{"no such frame", picture("MONOCHROME2", 1, 8, make([]byte, 8)), 1, "1 frames"},
		{"below nought", picture("MONOCHROME2", 1, 8, make([]byte, 8)), -1, "1 frames"},
		{"12 bits packed", picture("MONOCHROME2", 1, 12, make([]byte, 12)), 0, "12 bits allocated"},
		{"unknown colours", picture("CMYK", 4, 8, make([]byte, 32)), 0, "photometric"},
		{"wrong samples", picture("RGB", 1, 8, make([]byte, 8)), 0, "1 samples"},
	} {
		if _, err := frame(t, c.of, c.n); !isNone(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	bits := picture("MONOCHROME2", 1, 8, make([]byte, 8))
	bits.SetUint16(dicom.TagBitsStored, 200)
	if _, err := frame(t, bits, 0); !isNone(err) {
		t.Error(err)
	}
	huge := picture("MONOCHROME2", 1, 8, make([]byte, 8))
	huge.SetUint16(dicom.TagRows, 65535)
	huge.SetUint16(dicom.TagColumns, 65535)
	if _, err := frame(t, huge, 0); !isNone(err) || !strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
}

func TestPreviewEndsWithItsTime(t *testing.T) {
	o := compose.CT(1024, 1024)
	p := preview.New(preview.Limits{Time: time.Nanosecond})
	if _, err := p.Frame(t.Context(), bytes.NewReader(o.File()), preview.Object{}, 0); !isNone(err) {
		t.Error(err)
	}
}

// slow is a reader that waits for leave.
type slow struct{ go_ chan struct{} }

func (s slow) Read([]byte) (int, error) { <-s.go_; return 0, errors.New("gone") }

func TestOnlySoManyAtATime(t *testing.T) {
	p := preview.New(preview.Limits{Places: 1})
	s, done := slow{make(chan struct{})}, make(chan error, 1)
	go func() { _, err := p.Texts(context.Background(), s, preview.Object{}); done <- err }() // ends with the test
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for { // until the other one has the place
		if _, err := p.Texts(ctx, bytes.NewReader(compose.CT(4, 4).File()), preview.Object{}); errors.Is(err, preview.ErrBusy) {
			break
		}
	}
	close(s.go_)
	if err := <-done; err == nil {
		t.Error("read what nobody wrote")
	}
}

func TestTextsAreDecodedAndBounded(t *testing.T) {
	o := compose.CT(4, 4)
	o.SetString(dicom.TagSpecificCharacterSet, dicom.CS, "ISO_IR 192")
	o.SetString(dicom.TagPatientName, dicom.PN, "Müller^<script>alert(1)</script>")
	o.SetString(dicom.TagStudyDescription, dicom.LO, strings.Repeat("x", 2000))
	texts, err := preview.New(preview.Limits{}).Texts(t.Context(), bytes.NewReader(o.DataSet()), preview.Object{TransferSyntax: o.TransferSyntax})
	if err != nil {
		t.Fatal(err)
	}
	found := map[dicom.Tag]preview.Text{}
	for _, x := range texts {
		found[x.Tag] = x
	}
	if x := found[dicom.TagPatientName]; x.Value != "Müller^<script>alert(1)</script>" || x.Name != "Patient's Name" {
		t.Errorf("%+v", x)
	}
	if x := found[dicom.TagStudyDescription]; len(x.Value) != 512 || !x.Cut {
		t.Errorf("%d %t", len(x.Value), x.Cut)
	}
}

// What a finding points at is what is shown, wherever the payload hides, however the
// object is encoded.
func TestBytesAreThoseOfTheFinding(t *testing.T) {
	payload := compose.WindowsProgram()
	for _, place := range compose.Places() {
		o := compose.CT(16, 16)
		place.Put(o, payload)
		file, of := o.File(), preview.Object{}
		if place.InDataSet {
			file, of.TransferSyntax = o.DataSet(), o.TransferSyntax
		}
		in := inspect.New(inspect.Options{Decoder: dicom.Options{TransferSyntax: of.TransferSyntax}})
		in.Write(file)
		for _, f := range in.Close().Findings {
			if f.ID != "executable" && f.ID != "preamble-executable" {
				continue
			}
			at := preview.Place{Where: f.Where, Offset: f.Offset}
			w, err := preview.New(preview.Limits{}).Bytes(t.Context(), bytes.NewReader(file), of, at, -1)
			if err != nil {
				t.Errorf("%s: %v", place.Name, err)
				continue
			}
			if i := f.Offset - w.From; i < 0 || i+8 > int64(len(w.Data)) || !isProgram(w.Data[i:i+8]) {
				t.Errorf("%s: %s at %d is not in the window of %s from %d", place.Name, f.Where, f.Offset, w.Path, w.From)
			}
			if where, _, _ := strings.Cut(f.Where, "!"); !strings.HasPrefix(w.Path, where) {
				t.Errorf("%s: piece %q, want %q", place.Name, w.Path, where)
			}
		}
	}
}

// isProgram: a finding points at a signature, in whatever byte order.
func isProgram(p []byte) bool {
	return slices.ContainsFunc([]string{"MZ", "PE", "EP"}, func(s string) bool { return bytes.Contains(p, []byte(s)) })
}

func TestBytesCanBePaged(t *testing.T) {
	o := compose.CT(64, 64)
	file := o.File()
	p, of := preview.New(preview.Limits{}), preview.Object{Size: int64(len(file))}
	var all []byte
	for from := int64(0); ; from += preview.WindowBytes {
		w, err := p.Bytes(t.Context(), bytes.NewReader(file), of, preview.Place{Where: "(7FE0,0010)", Offset: 2000}, from)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w.Data...)
		if w.Path != "(7FE0,0010)" {
			t.Errorf("from %d: piece %q", from, w.Path)
		}
		if !w.More {
			break
		}
	}
	if !bytes.Equal(all, file) {
		t.Errorf("%d bytes of %d, or others", len(all), len(file))
	}
	if _, err := p.Bytes(t.Context(), bytes.NewReader(file), of, preview.Place{}, 1<<40); !isNone(err) {
		t.Error(err)
	}
}

func TestSamePieceHasTheSameDigest(t *testing.T) {
	var sums []preview.Digest
	for _, size := range []int{16, 32} {
		o := compose.CT(size, size)
		compose.PrivateOB.Put(o, compose.EICAR())
		at := preview.Place{Where: "(0009,1010)", Offset: int64(bytes.Index(o.DataSet(), compose.EICAR()))}
		got, err := preview.New(preview.Limits{}).Pieces(t.Context(), bytes.NewReader(o.DataSet()), preview.Object{TransferSyntax: o.TransferSyntax}, []preview.Place{at, {Offset: 1 << 40}})
		if err != nil || len(got) != 2 || got[1] != (preview.Digest{}) {
			t.Fatal(got, err)
		}
		sums = append(sums, got[0])
	}
	if sums[0] != sums[1] || sums[0] == (preview.Digest{}) {
		t.Error(sums)
	}
}
