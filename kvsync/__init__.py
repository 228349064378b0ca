"""What every part agrees on (key, record, signing, errors) and how records reach a region."""
