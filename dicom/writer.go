package dicom
