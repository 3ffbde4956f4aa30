/** The hint of every error about something that is no store. */
export const whatIsAStore = "Give the `mlruns` folder itself, an mlflow.db, or the address of an MLflow server.";
