"""The ground floor: exceptions, clocks, files and text; nothing here knows of laws."""
