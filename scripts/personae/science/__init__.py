"""The mathematics: arrays and tables in, numbers out. No model or endpoint is called here."""
