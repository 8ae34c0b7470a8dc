"""The only importer of boto3: sessions, the bulk reader, the writer, translated errors."""
