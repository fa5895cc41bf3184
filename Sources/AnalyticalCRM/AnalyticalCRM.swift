// AnalyticalCRM
