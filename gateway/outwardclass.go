package gateway

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
)

// Who retrieves by C-GET has to say before which SOP classes it takes, and in
// which transfer syntaxes (PS3.4 §C.5.3). The archive is asked.

// usualClasses are proposed where nothing is known, each in any syntax.
var usualClasses = []dicom.UID{
	dicom.CTImageStorage, dicom.EnhancedCTImageStorage, dicom.MRImageStorage, dicom.EnhancedMRImageStorage,
	dicom.ComputedRadiographyImageStorage, dicom.DigitalXRayImageStorageForPresentation, dicom.DigitalMammographyXRayImageStorageForPresentation,
	dicom.BreastTomosynthesisImageStorage, dicom.XRayAngiographicImageStorage, dicom.XRayRadiofluoroscopicImageStorage,
	dicom.UltrasoundImageStorage, dicom.UltrasoundMultiFrameImageStorage, dicom.NuclearMedicineImageStorage, dicom.PositronEmissionTomographyImageStorage,
	dicom.SecondaryCaptureImageStorage, dicom.MultiFrameTrueColorSecondaryCaptureImageStorage, dicom.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
	dicom.VLPhotographicImageStorage, dicom.VLEndoscopicImageStorage, dicom.VLWholeSlideMicroscopyImageStorage,
	dicom.GrayscaleSoftcopyPresentationStateStorage, dicom.BasicTextSRStorage, dicom.EnhancedSRStorage, dicom.ComprehensiveSRStorage,
	dicom.XRayRadiationDoseSRStorage, dicom.KeyObjectSelectionDocumentStorage, dicom.EncapsulatedPDFStorage, dicom.SegmentationStorage,
	dicom.RTImageStorage, dicom.RTDoseStorage, dicom.RTStructureSetStorage, dicom.RTPlanStorage,
}

const tagSOPClassesInStudy dicom.Tag = 0x00080062

// maxSeries bounds the series of a study that are looked into for their classes.
const maxSeries = 1000

// classes lists the SOP classes of the objects that an identifier names, as the
// archive answers; none if it cannot say.
func (o *outward) classes(ctx context.Context, x *dimse.Exchange, identifier []byte) ([]dicom.UID, error) {
	level, unique, err := uniqueKeys(identifier)
	if err != nil {
		return nil, err
	}
	var found []dicom.UID
	note := func(uids []dicom.UID) error {
		for _, u := range uids {
			if u.Validate() == nil && !slices.Contains(found, u) {
				found = append(found, u)
			}
		}
		return nil
	}
	if level == "STUDY" {
		if err := o.ask(ctx, x, "STUDY", unique, tagSOPClassesInStudy, note); err != nil || len(found) > 0 {
			return found, err
		}
	}
	series := []dicom.UID{unique[dicom.TagSeriesInstanceUID]}
	if level == "STUDY" {
		series = nil
		err := o.ask(ctx, x, "SERIES", unique, dicom.TagSeriesInstanceUID, func(uids []dicom.UID) error {
			series = append(series, uids...)
			if len(series) > maxSeries {
				return errManySeries
			}
			return nil
		})
		if err != nil && !errors.Is(err, errManySeries) {
			return nil, err
		}
	}
	for _, u := range series {
		unique[dicom.TagSeriesInstanceUID] = u
		if err := o.ask(ctx, x, "IMAGE", unique, dicom.TagSOPClassUID, note); err != nil {
			return nil, err
		}
	}
	return found, nil
}

var errManySeries = errors.New("more series than are looked into")

// ask asks for one attribute, a UID or several, of all that the unique keys name.
// An archive that does not answer for it leaves nothing.
func (o *outward) ask(ctx context.Context, x *dimse.Exchange, level string, unique map[dicom.Tag]dicom.UID, wanted dicom.Tag, note func([]dicom.UID) error) error {
	if _, ok := o.accepts(dicom.StudyRootQueryRetrieveInformationModelFind); !ok {
		return nil
	}
	identifier, err := askingFor(level, unique, wanted)
	if err != nil {
		return err
	}
	_, stopped, err := o.find(ctx, x, dicom.StudyRootQueryRetrieveInformationModelFind, identifier, func(data []byte, ts dicom.UID) error {
		values, err := valuesOf(data, ts, wanted)
		if err != nil {
			return nil // what it is worth is seen when the objects come
		}
		return note(values[wanted])
	})
	return errors.Join(err, stopped)
}

// askingFor is an identifier, in Explicit VR Little Endian.
func askingFor(level string, unique map[dicom.Tag]dicom.UID, wanted dicom.Tag) ([]byte, error) {
	keys := map[dicom.Tag]string{wanted: ""}
	for t, u := range unique {
		if u != "" {
			keys[t] = string(u)
		}
	}
	syntax, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	for _, t := range []dicom.Tag{
		dicom.TagSOPClassUID, dicom.TagSOPInstanceUID, dicom.TagQueryRetrieveLevel, tagSOPClassesInStudy, dicom.TagStudyInstanceUID, dicom.TagSeriesInstanceUID,
	} {
		if t == dicom.TagQueryRetrieveLevel {
			w.String(t, dicom.CS, level)
		} else if value, ok := keys[t]; ok && value != "" {
			w.String(t, dicom.UI, value)
		} else if ok {
			w.Element(t, dicom.UI, nil)
		}
	}
	return b.Bytes(), w.Close()
}

// uniqueKeys reads the level and the unique keys of the Study Root model from an
// identifier in Explicit VR Little Endian. Of a list of UIDs there is the first.
func uniqueKeys(identifier []byte) (level string, unique map[dicom.Tag]dicom.UID, err error) {
	values, err := valuesOf(identifier, dicom.ExplicitVRLittleEndian,
		dicom.TagQueryRetrieveLevel, dicom.TagStudyInstanceUID, dicom.TagSeriesInstanceUID, dicom.TagSOPInstanceUID)
	unique = map[dicom.Tag]dicom.UID{}
	for t, v := range values {
		unique[t] = v[0]
	}
	level = string(unique[dicom.TagQueryRetrieveLevel])
	delete(unique, dicom.TagQueryRetrieveLevel)
	return level, unique, err
}

// valuesOf reads the values of some attributes at the root of a small data set.
// Those without a value are left out.
func valuesOf(data []byte, ts dicom.UID, tags ...dicom.Tag) (map[dicom.Tag][]dicom.UID, error) {
	syntax, ok := dicom.LookupTransferSyntax(ts)
	if !ok {
		return nil, errors.New("transfer syntax is not known")
	}
	es, err := dicom.ReadElements(data, syntax, maxSubjectElements)
	out := map[dicom.Tag][]dicom.UID{}
	for _, e := range es {
		if e.Depth > 0 || !slices.Contains(tags, e.Tag) {
			continue
		}
		for _, v := range strings.Split(string(dicom.TrimUID(e.Value)), `\`) {
			if v != "" {
				out[e.Tag] = append(out[e.Tag], dicom.UID(v))
			}
		}
	}
	return out, err
}
